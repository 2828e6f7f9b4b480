//! What can be made to go wrong, where, for whom and how often.

/// What the server was asked when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: it speaks first.
    Greeting,
    /// Whether TLS may begin.
    StartTls,
    Login,
    Sender,
    Recipient,
    /// Whether a mail may follow.
    Data,
    /// The mail, to its last dot.
    Content,
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer, and no effect.
    Answer(&'static str),
    /// Never an answer, and no effect.
    Silence,
    /// The connection ends without an answer; nothing was done.
    HangUp,
    /// The connection ends without an answer; the mail was taken.
    HangUpAfterEffect,
}

struct Rule {
    step: Step,
    recipient: Option<String>,
    /// How many more times; `None`: always.
    left: Option<usize>,
    fault: Fault,
}

#[derive(Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    pub(super) fn add(&mut self, step: Step, recipient: Option<String>, times: Option<usize>, fault: Fault) {
        self.0.push(Rule { step, recipient, left: times, fault });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault whose turn it is; it is counted as used.
    pub(super) fn meet(&mut self, step: Step, recipient: &str) -> Option<Fault> {
        let is_meant = |wanted: &Option<String>| wanted.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(recipient));
        let rule =
            self.0.iter_mut().find(|rule| rule.step == step && rule.left != Some(0) && is_meant(&rule.recipient))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault.clone())
    }
}
