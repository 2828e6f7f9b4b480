package usher.actionlink;

/**
 * The answer.
 *
 * @param link opens Keycloak's page; whoever has it can act for the user
 * @param expiration when it ends, in seconds since 1970
 */
public record ActionLink(String link, int expiration) {}
