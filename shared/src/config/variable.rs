//! A variable, as far as it can be told: what it may be, what it is unless it is set, and what it is here.

/// A variable that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// What may stand in it.
    pub expected: &'static str,
    pub unless_set: UnlessSet,
    pub is_secret: bool,
    pub source: Source,
    /// What holds, as it would be written; nothing for a secret and for what is not there.
    pub value: Option<String>,
}

/// What holds when nobody sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlessSet {
    /// There is no start without it.
    Fault,
    /// It is left out.
    Nothing,
    /// As it would be written.
    Is(String),
    /// In words, where it is another one in each place.
    Derived(&'static str),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Environment,
    /// The file that `NAME_FILE` names.
    File,
    Default,
    /// Nowhere: there is none.
    Nowhere,
}

impl Variable {
    pub(super) fn new(name: &'static str, expected: &'static str, unless_set: UnlessSet) -> Self {
        let source = if matches!(unless_set, UnlessSet::Is(_) | UnlessSet::Derived(_)) {
            Source::Default
        } else {
            Source::Nowhere
        };
        Self { name, expected, unless_set, is_secret: false, source, value: None }
    }
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
            Self::Nowhere => "unset",
        }
    }
}
