//! The mails for human eyes. Everything from a mail is escaped; its HTML shows in a frame that may run nothing.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Html,
};
use uuid::Uuid;

use super::mailbox::{Address, Mail, Mailbox};

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Caught mails</title>\
    <link rel=icon href=data:,><style>\
    body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ddd}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere}iframe{width:100%;height:30rem;border:1px solid #ddd}</style>";

/// As many as a page can show without scrolling for ever; the API has all.
const SHOWN: usize = 200;

pub(super) async fn list(State(mailbox): State<Mailbox>) -> Html<String> {
    let mails = mailbox.all();
    let rows: String = mails.iter().take(SHOWN).map(|mail| row(mail)).collect();
    Html(format!(
        "{HEAD}<h1>{} mails caught</h1><table><tr><th>Received<th>To<th>Subject</tr>{rows}</table>",
        mails.len()
    ))
}

pub(super) async fn view(State(mailbox): State<Mailbox>, Path(id): Path<Uuid>) -> Result<Html<String>, StatusCode> {
    let mail = mailbox.find(id).ok_or(StatusCode::NOT_FOUND)?;
    let content = &mail.content;
    Ok(Html(format!(
        "{HEAD}<p><a href=/>all mails</a><h1>{subject}</h1><p>From {from}<br>To {to}<br>{received}\
         <h2>HTML</h2><iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" srcdoc=\"{html}\"></iframe>\
         <h2>Text</h2><pre>{text}</pre>",
        subject = escape(&content.subject),
        from = people(std::slice::from_ref(&content.from)),
        to = people(&content.to),
        received = mail.received.format("%Y-%m-%d %H:%M:%S UTC"),
        text = escape(&content.text),
        // Links of the mail open in a tab of their own, outside the frame.
        html = escape(&format!("<base target=_blank>{}", content.html)),
    )))
}

fn row(mail: &Mail) -> String {
    format!(
        "<tr><td>{}<td>{}<td><a href=\"/view/{}\">{}</a></tr>",
        mail.received.format("%H:%M:%S"),
        people(&mail.content.to),
        mail.content.id,
        escape(&mail.content.subject)
    )
}

fn people(addresses: &[Address]) -> String {
    let person = |it: &Address| escape(it.email.as_deref().or(it.name.as_deref()).unwrap_or("?"));
    addresses.iter().map(person).collect::<Vec<_>>().join(", ")
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_mail_can_break_out_of_the_page() {
        assert_eq!(escape("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
