package usher.actionlink;

/**
 * The answer.
 *
 * @param link opens Keycloak's page; whoever has it can act for the user
 * @param expiration when it ends, in seconds since 1970
 * @param email the user's address as it is now: the link is good for whoever reads that one, and ends when it changes
 */
public record ActionLink(String link, int expiration, String email) {}
