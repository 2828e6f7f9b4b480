//! Debian's packages: which of them this machine lacks, and what each is for.

use crate::{conformance_tool, install, programs, stack::Stack};

pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

/// What the stack runs.
pub(crate) fn missing_for_the_stack(stack: &Stack) -> Vec<Package> {
    let keycloak_needs_maven = !install::keycloak_home(stack).exists() && lacks(stack, "mvn");
    missing([
        (programs::postgres().is_none(), "postgresql", "the database: users and outbox, and Keycloak's own tables"),
        (programs::rabbitmq().is_none(), "rabbitmq-server", "the broker that carries events to the workers"),
        (lacks(stack, "redis-server"), "redis-server", "keeps passwords that are given at a registration, for a while"),
        (
            programs::javac(stack).is_none(),
            "default-jdk-headless",
            "Java, which Keycloak runs on and its provider is in",
        ),
        (lacks(stack, "curl"), "curl", "runs the calls that the README shows"),
        (lacks(stack, "jq"), "jq", "takes the tokens out of their answers"),
        (keycloak_needs_maven, "maven", "fetches Keycloak from the Maven repository"),
    ])
}

/// What the tests alone run. Chromium brings fonts along: what draws its letters depends on some.
pub(crate) fn missing_for_the_tests(stack: &Stack) -> Vec<Package> {
    let why_python = "makes the Python environment of the tools that test the api and the manifests";
    missing([
        (lacks(stack, "chromium"), "chromium", "the browser in which a test goes the way of a person"),
        (lacks(stack, "chromedriver"), "chromium-driver", "leads that browser"),
        (lacks(stack, "faketime"), "faketime", "gives a process of a test another time"),
        (conformance_tool::lacks_python(stack), "python3-venv", why_python),
    ])
}

fn missing<const N: usize>(packages: [(bool, &'static str, &'static str); N]) -> Vec<Package> {
    packages.into_iter().filter_map(|(missing, name, why)| missing.then_some(Package { name, why })).collect()
}

fn lacks(stack: &Stack, program: &str) -> bool {
    programs::in_path(stack, program).is_none()
}
