//! `completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::answer;

#[derive(Debug, Args)]
pub struct Completions {
    /// Whose words they are in
    shell: Shell,
}

impl Completions {
    /// Prints the script that completes the commands of `C`.
    pub fn run<C: CommandFactory>(self) -> anyhow::Result<()> {
        let mut command = C::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        answer::write(&String::from_utf8_lossy(&script)).map(drop)
    }
}
