package usher.actionlink;

import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.ForbiddenException;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import jakarta.ws.rs.core.Response.Status;
import jakarta.ws.rs.core.UriInfo;
import java.util.List;
import org.keycloak.authentication.actiontoken.execactions.ExecuteActionsActionToken;
import org.keycloak.common.util.Time;
import org.keycloak.events.admin.OperationType;
import org.keycloak.events.admin.ResourceType;
import org.keycloak.models.ClientModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RequiredActionProviderModel;
import org.keycloak.models.UserModel;
import org.keycloak.protocol.oidc.utils.RedirectUtils;
import org.keycloak.services.ErrorResponse;
import org.keycloak.services.resources.LoginActionsService;
import org.keycloak.services.resources.admin.AdminEventBuilder;
import org.keycloak.services.resources.admin.fgap.AdminPermissionEvaluator;
import org.keycloak.urls.UrlType;

/**
 * Hands out the link that {@code execute-actions-email} mails, under the same rules and with the same words of refusal,
 * to whoever may manage the user.
 */
public final class ActionLinkResource {

    private static final int SHORTEST_LIFESPAN = 60;
    private static final int LONGEST_LIFESPAN = 30 * 24 * 60 * 60;

    private final KeycloakSession session;
    private final RealmModel realm;
    private final AdminPermissionEvaluator auth;
    private final AdminEventBuilder adminEvent;

    ActionLinkResource(
            KeycloakSession session, RealmModel realm, AdminPermissionEvaluator auth, AdminEventBuilder adminEvent) {
        this.session = session;
        this.realm = realm;
        this.auth = auth;
        this.adminEvent = adminEvent;
    }

    // Without the empty path Keycloak answers 405.
    @POST
    @Path("")
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.APPLICATION_JSON)
    public Response create(ActionLinkRequest request) {
        require(request != null && request.userId() != null, "User id missing");
        UserModel user = managedUser(request.userId());
        require(user.getEmail() != null, "User email missing");
        require(user.isEnabled(), "User is disabled");
        ClientModel client = enabledClient(request.clientId());
        String redirectUri = verifiedRedirect(request.redirectUri(), client);
        List<String> actions = knownActions(request.actions());
        // Keycloak keeps the end of a token in 32 bits.
        int expiration = Math.toIntExact(Time.currentTimeSeconds() + boundedLifespan(request.lifespan()));

        var token = new ExecuteActionsActionToken(
                user.getId(), user.getEmail(), expiration, actions, redirectUri, client.getClientId());
        var link = new ActionLink(linkWith(token), expiration, user.getEmail());
        tell(user, request);
        return Response.ok(link).header("Cache-Control", "no-store").build();
    }

    /** Who may not manage users does not learn who is there either. */
    private UserModel managedUser(String id) {
        UserModel user = session.users().getUserById(realm, id);
        if (user == null) {
            throw auth.users().canQuery() ? new NotFoundException("User not found") : new ForbiddenException();
        }
        auth.users().requireManage(user);
        return user;
    }

    private ClientModel enabledClient(String clientId) {
        require(clientId != null, "Client id missing");
        ClientModel client = realm.getClientByClientId(clientId);
        require(client != null, "Client doesn't exist");
        require(client.isEnabled(), "Client is not enabled");
        return client;
    }

    private String verifiedRedirect(String redirectUri, ClientModel client) {
        if (redirectUri == null) {
            return null;
        }
        String verified = RedirectUtils.verifyRedirectUri(session, redirectUri, client);
        require(verified != null, "Invalid redirect uri.");
        return verified;
    }

    private List<String> knownActions(List<String> actions) {
        boolean known = actions != null && !actions.isEmpty() && actions.stream().allMatch(this::isEnabled);
        require(known, "Provided invalid required actions");
        return actions;
    }

    private boolean isEnabled(String action) {
        RequiredActionProviderModel provider = action == null ? null : realm.getRequiredActionProviderByAlias(action);
        return provider != null && provider.isEnabled();
    }

    private int boundedLifespan(Integer asked) {
        int lifespan = asked == null ? realm.getActionTokenGeneratedByAdminLifespan() : asked;
        require(lifespan >= SHORTEST_LIFESPAN && lifespan <= LONGEST_LIFESPAN, "Invalid lifespan");
        return lifespan;
    }

    /** At the address where people reach Keycloak, whichever one the question came to. */
    private String linkWith(ExecuteActionsActionToken token) {
        UriInfo frontend = session.getContext().getUri(UrlType.FRONTEND);
        String key = token.serialize(session, realm, frontend);
        return LoginActionsService.actionTokenProcessor(frontend)
                .queryParam("key", key)
                .build(realm.getName())
                .toString();
    }

    /** What was asked, and not the link: who reads the events need not be able to act for the user. */
    private void tell(UserModel user, ActionLinkRequest request) {
        adminEvent
                .operation(OperationType.ACTION)
                .resource(ResourceType.USER)
                .resourcePath("users", user.getId(), "usher-action-link")
                .representation(request)
                .success();
    }

    private static void require(boolean condition, String refusal) {
        if (!condition) {
            throw ErrorResponse.error(refusal, Status.BAD_REQUEST);
        }
    }
}
