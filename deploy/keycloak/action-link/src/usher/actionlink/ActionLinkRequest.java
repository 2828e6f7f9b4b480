package usher.actionlink;

import java.util.List;

/**
 * What is asked for.
 *
 * @param userId who will follow the link
 * @param actions the required actions that it leads through, by their aliases
 * @param clientId in whose name
 * @param redirectUri where the person is led afterwards; the client must allow it
 * @param lifespan in seconds; by default what the realm gives to links of administrators
 */
public record ActionLinkRequest(
        String userId, List<String> actions, String clientId, String redirectUri, Integer lifespan) {}
