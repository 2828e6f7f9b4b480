//! The three shapes that a picture is made of.

use std::fmt::Write as _;

/// A drawing that grows.
#[derive(Default)]
pub(super) struct Svg {
    body: String,
}

#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(&format!(r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" {style}/>"#));
    }

    pub(super) fn bar(&mut self, from: (f64, f64), width: f64, height: f64, colour: &str) {
        let (x, y) = from;
        self.put(&format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#));
    }

    /// Interrupted where there is no value.
    pub(super) fn curve(&mut self, points: impl Iterator<Item = (f64, Option<f64>)>, colour: &str) {
        let (mut path, mut pen) = (String::new(), 'M');
        for (x, y) in points {
            if let Some(y) = y {
                _ = write!(path, "{pen}{x:.1} {y:.1}");
            }
            pen = if y.is_some() { 'L' } else { 'M' };
        }
        self.put(&format!(r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>"#));
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, style: &str, text: &str) {
        let (x, y) = at;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.put(&format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {style}>{text}</text>"#));
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    pub(super) fn finish(self, width: f64, height: f64) -> String {
        let size = format!(r#"viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}""#);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_interrupted_where_nothing_is_known() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(3.0)), (4.0, Some(4.0))];
        let mut svg = Svg::default();
        svg.curve(points.into_iter(), "red");
        assert!(svg.body.contains(r#"d="M0.0 1.0L1.0 2.0M3.0 3.0L4.0 4.0""#), "{}", svg.body);
    }
}
