//! Numbers as people read them.

/// Three digits that count, and no more.
pub(super) fn short(number: f64) -> String {
    match number {
        _ if !number.is_finite() => "–".to_owned(),
        _ if number.abs() >= 100.0 => grouped(number),
        _ if number.abs() >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// `12,345`
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|it| std::str::from_utf8(it).ok()).collect();
    groups.join(",")
}

pub(super) fn percent(part: f64) -> String {
    if part.is_finite() { format!("±{:.0} %", part * 50.0) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.123, 12.34, 123.4, 12_345.6].map(short), ["0.12", "12.3", "123", "12,346"]);
        assert_eq!(short(f64::NAN), "–");
        assert_eq!(percent(0.1), "±5 %");
    }
}
