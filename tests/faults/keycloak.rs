//! Keycloak is down, slow, hanging, full, changed, or its answer is lost.
