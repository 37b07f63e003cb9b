"""/token, /whoami, /user, /role: who may come in, and what they may do.

Argon2id takes tens of milliseconds. So the calls that need it open their sessions themselves: look, compute outside of
any transaction, write.
"""

from flask import Response
from pydantic import SecretStr
from sqlalchemy import select

from vprotocol import messages as m
from vprotocol.errors import AlreadyExists, BadRequest, LoginFailed, NotAuthenticated, RateLimited
from vprotocol.messages.token import NodeLogin, TokenPair, TokenRefresh, UserLogin, Whoami
from vprotocol.messages.user import FirstAdministrator, NewUser, PasswordChange, Role, User, UserChange
from vprotocol.roles import Action, Resource, spelled
from vserver import authz
from vserver.accounts import model, passwords, service, tokens
from vserver.authz import Kind, Principal, Target
from vserver.collaborations import service as collaborations
from vserver.nodes import service as nodes
from vserver.organizations import service as organizations
from vserver.web.auth import caller_address
from vserver.web.links import Endpoint, Links, link
from vserver.web.operation import Work, operation
from vserver.web.paging import Listing, by_bool, by_id, by_text
from vserver.web.resource import HubResource

_VIEW = (Resource.USER, Action.VIEW)
_EDIT = (Resource.USER, Action.EDIT)


# --- tokens ----------------------------------------------------------------------------------------------------------
class _TokenResource(HubResource):
    @property
    def lifetimes(self) -> tokens.Lifetimes:
        return tokens.Lifetimes(self.hub.settings.access_token_s, self.hub.settings.refresh_token_s)

    def pair(self, pair: tokens.Pair, principal: Principal) -> TokenPair:
        place, parameter = (Endpoint.USER, "user_id") if principal.kind is Kind.USER else (Endpoint.NODE, "node_id")
        me = Target(owners=principal.identities)
        links = Links(self.hub.operations, principal)
        return TokenPair(
            access_token=pair.access,
            refresh_token=pair.refresh,
            access_expires_at=pair.access_expires_at,
            refresh_expires_at=pair.refresh_expires_at,
            principal=links.relation(place, me, id=principal.id, **{parameter: principal.id}),
        )


class TokenForUser(_TokenResource):
    place = Endpoint.TOKEN_USER

    @operation(
        "Log in with user name and password",
        body=UserLogin,
        answer=TokenPair,
        public=True,
        work=Work.OWN,
        errors=(LoginFailed, RateLimited),
    )
    def post(self) -> m.Message:
        asked = self.body(UserLogin)
        self.hub.logins.take(f"address:{caller_address()}", f"user:{asked.username}@{caller_address()}")
        now, database = self.hub.now(), self.hub.database
        with database.read() as session:
            claimed = service.claimed(session, asked.username, now)
        if claimed.locked_for_s > 0:
            wait_s = int(claimed.locked_for_s) + 1
            raise RateLimited(f"Too many wrong passwords; try again in {wait_s} s.", fields={"retry_after_s": wait_s})
        stored = claimed.password_hash or passwords.nobodys_hash(self.hub.settings.password)
        right = self.hub.hashing.run(passwords.password_matches, asked.password.get_secret_value(), stored)
        if claimed.user_id is None:
            raise LoginFailed()
        with database.write() as session:
            if right:
                service.login_succeeded(session, claimed.user_id)
                pair = tokens.issue(session, self.lifetimes, now, user_id=claimed.user_id)
                session.flush()
                return self.pair(pair, tokens.principal_of(session, pair.access, now))
            service.login_failed(session, claimed.user_id, now)
        raise LoginFailed()


class TokenForNode(_TokenResource):
    place = Endpoint.TOKEN_NODE

    @operation(
        "Log in with a node's API key",
        body=NodeLogin,
        answer=TokenPair,
        public=True,
        errors=(LoginFailed, RateLimited),
    )
    def post(self) -> m.Message:
        api_key = self.body(NodeLogin).api_key.get_secret_value()
        now = self.hub.now()
        node_id = nodes.by_api_key(self.session, api_key)
        if node_id is None:
            # Only failures count: nodes behind one address must be able to come back together.
            self.hub.logins.take(f"address:{caller_address()}")
            raise LoginFailed("This API key is not valid (any more).", hint="Ask whoever made it for a new one.")
        pair = tokens.issue(self.session, self.lifetimes, now, node_id=node_id)
        self.session.flush()
        return self.pair(pair, tokens.principal_of(self.session, pair.access, now))


class TokenRefreshed(_TokenResource):
    place = Endpoint.TOKEN_REFRESH

    @operation(
        "Trade a refresh token for the next pair; presenting one twice ends the whole log-in",
        body=TokenRefresh,
        answer=TokenPair,
        public=True,
        work=Work.OWN,
        errors=(NotAuthenticated,),
    )
    def post(self) -> m.Message:
        presented = self.body(TokenRefresh).refresh_token.get_secret_value()
        now = self.hub.now()
        with self.hub.database.write() as session:
            pair = tokens.rotate(session, presented, self.lifetimes, now)
            if pair is not None:
                session.flush()
                return self.pair(pair, tokens.principal_of(session, pair.access, now))
        # Only here, after the commit: the end of a family whose token was presented twice must last.
        raise NotAuthenticated("This refresh token does not hold (any more).")


class Tokens(_TokenResource):
    place = Endpoint.TOKEN

    @operation("Log out: this token and everything of the same log-in ends", status=204)
    def delete(self) -> None:
        tokens.revoke_family(self.session, self.principal.token_family)


class WhoamiResource(HubResource):
    place = Endpoint.WHOAMI

    @operation("Who the token belongs to", answer=Whoami)
    def get(self) -> m.Message:
        who = self.principal
        place, parameter = (Endpoint.USER, "user_id") if who.kind is Kind.USER else (Endpoint.NODE, "node_id")
        home = who.organization_id
        return Whoami(
            kind=who.kind.value,
            id=who.id,
            name=who.name,
            self_=link(place, **{parameter: who.id}),
            organization=None
            if home is None
            else self.links.relation(
                Endpoint.ORGANIZATION,
                organizations.target(home, who.collaboration_ids),
                id=home,
                organization_id=home,
            ),
            collaborations=tuple(
                self.links.relation(Endpoint.COLLABORATION, collaborations.target(one), id=one, collaboration_id=one)
                for one in sorted(who.collaboration_ids)
            ),
            permissions=tuple(sorted(spelled((*pair, scope)) for pair, scope in who.reach.items())),
        )


# --- users -----------------------------------------------------------------------------------------------------------
LISTING = Listing(
    key=model.User.id,
    view=User,
    sorts={"username": model.User.username, "created_at": model.User.created_at},
    filters={
        "username": by_text(model.User.username),
        "organization_id": by_id(lambda wanted: model.User.organization_id == wanted),
        "enabled": by_bool(lambda wanted: model.User.enabled.is_(wanted)),
    },
)


class _UserResource(HubResource):
    def hash(self, password: SecretStr) -> str:
        return self.hub.hashing.run(passwords.hash_password, password.get_secret_value(), self.hub.settings.password)

    def views(self, rows: list[model.User]) -> list[User]:
        return [self.view(row, self.links) for row in rows]

    def view(self, row: model.User, links: Links) -> User:
        home = row.organization_id
        target = service.target(row)
        return User(
            id=row.id,
            self_=link(Endpoint.USER, user_id=row.id),
            methods=links.methods(Endpoint.USER, target),
            username=row.username,
            organization=None
            if home is None
            else links.relation(
                Endpoint.ORGANIZATION, organizations.target(home, frozenset()), id=home, organization_id=home
            ),
            roles=tuple(role.name for role in row.roles),
            enabled=row.enabled,
            created_at=row.created_at,
            links={
                "list": link(Endpoint.USERS),
                "password": links.relation(Endpoint.USER_PASSWORD, target, id=row.id, user_id=row.id),
            },
        )

    def found(self, user_id: int, needs: tuple[Resource, Action]) -> model.User:
        """The user, when the caller may."""
        row = service.user(self.session, user_id)
        authz.require(self.principal, *needs, service.target(row))
        return row

    def roles(self, names: tuple[str, ...]) -> list[model.Role]:
        """Roles to hand out.

        :raises Forbidden: one of them holds more than the caller does.
        """
        found = service.roles_named(self.session, names)
        for role in found:
            authz.require_grantable(self.principal, role.permissions)
        return found


class Users(_UserResource):
    place = Endpoint.USERS

    @operation("List users", listing=LISTING, needs=_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(LISTING, service.visible(self.principal), self.views)

    @operation(
        "Add a user",
        body=NewUser,
        answer=User,
        status=201,
        needs=(Resource.USER, Action.CREATE),
        work=Work.OWN,
        errors=(AlreadyExists, BadRequest),
    )
    def post(self) -> Response:
        asked, who = self.body(NewUser), self.principal
        home = frozenset() if asked.organization_id is None else frozenset({asked.organization_id})
        authz.require(who, Resource.USER, Action.CREATE, Target(organizations=home))
        self.hub.writes.take(who.label)
        password_hash = self.hash(asked.password)

        def create() -> m.Message:
            made = service.create(
                self.session,
                username=asked.username,
                password_hash=password_hash,
                organization_id=asked.organization_id,
                roles=self.roles(asked.roles),
                now=self.hub.now(),
            )
            return self.view(made, self.links)

        return self.write(create)


class FirstUser(_UserResource):
    place = Endpoint.USER_FIRST

    @operation(
        "Make the first administrator, with the code that the hub printed once",
        body=FirstAdministrator,
        answer=User,
        status=201,
        public=True,
        work=Work.OWN,
        errors=(AlreadyExists,),
    )
    def post(self) -> m.Message:
        self.hub.logins.take(f"address:{caller_address()}")
        asked = self.body(FirstAdministrator)
        password_hash = self.hash(asked.password)
        with self.hub.database.write() as session:
            made = service.create_first_administrator(
                session, asked.code.get_secret_value(), asked.username, password_hash, self.hub.now()
            )
            permissions = " ".join(role.permissions for role in made.roles)
            nobody_yet = Principal(Kind.USER, made.id, made.username, None, frozenset(), permissions, "")
            return self.view(made, Links(self.hub.operations, nobody_yet))


class UserById(_UserResource):
    place = Endpoint.USER

    @operation("One user", answer=User, needs=_VIEW)
    def get(self, user_id: int) -> m.Message:
        row = self.found(user_id, _VIEW)
        self.tag(row.version)
        return self.view(row, self.links)

    @operation(
        "Change roles, or switch a user on or off",
        body=UserChange,
        answer=User,
        needs=_EDIT,
        errors=(service.LastAdministrator,),
    )
    def patch(self, user_id: int) -> m.Message:
        row = self.found(user_id, _EDIT)
        self.check_unchanged(row.version)
        asked = self.body(UserChange)
        for role in row.roles:  # whoever is above the caller stays out of the caller's reach
            authz.require_grantable(self.principal, role.permissions)
        roles = None if asked.roles is None else self.roles(asked.roles)
        service.change(self.session, row, roles=roles, enabled=asked.enabled)
        self.tag(row.version)
        return self.view(row, self.links)

    @operation(
        "Remove a user",
        status=204,
        needs=(Resource.USER, Action.DELETE),
        errors=(service.LastAdministrator,),
    )
    def delete(self, user_id: int) -> None:
        row = self.found(user_id, (Resource.USER, Action.DELETE))
        self.check_unchanged(row.version)
        for role in row.roles:
            authz.require_grantable(self.principal, role.permissions)
        service.delete(self.session, row)


class UserPassword(_UserResource):
    place = Endpoint.USER_PASSWORD

    @operation(
        "Set a new password; every other log-in of this user ends",
        body=PasswordChange,
        status=204,
        needs=_VIEW,
        work=Work.OWN,
        errors=(LoginFailed,),
    )
    def put(self, user_id: int) -> None:
        asked, who = self.body(PasswordChange), self.principal
        myself = who.kind is Kind.USER and who.id == user_id
        with self.hub.database.read() as session:
            row = service.user(session, user_id)
            if not myself:
                authz.require(who, *_EDIT, service.target(row))
                for role in row.roles:
                    authz.require_grantable(who, role.permissions)
            stored = row.password_hash
        if myself:
            self._check_current(asked, stored)
        made = self.hash(asked.new)
        with self.hub.database.write() as session:
            row = service.user(session, user_id)
            service.set_password(session, row, made, keep_family=who.token_family if myself else None)

    def _check_current(self, asked: PasswordChange, stored: str) -> None:
        self.hub.logins.take(f"password:{self.principal.label}")
        given = "" if asked.current is None else asked.current.get_secret_value()
        if not self.hub.hashing.run(passwords.password_matches, given, stored):
            raise LoginFailed("The current password is wrong.", hint="Give it as `current`.")


# --- roles -----------------------------------------------------------------------------------------------------------
ROLES = Listing(
    key=model.Role.id, view=Role, sorts={"name": model.Role.name}, filters={"name": by_text(model.Role.name)}
)


class _RoleResource(HubResource):
    def view(self, row: model.Role) -> Role:
        reach = authz.reach_of(row.permissions)
        return Role(
            id=row.id,
            self_=link(Endpoint.ROLE, role_id=row.id),
            methods=("GET",),
            name=row.name,
            permissions=tuple(sorted(spelled((*pair, scope)) for pair, scope in reach.items())),
            links={"list": link(Endpoint.ROLES)},
        )


class Roles(_RoleResource):
    place = Endpoint.ROLES

    @operation("List roles", listing=ROLES)
    def get(self) -> dict[str, object]:
        return self.page(ROLES, select(model.Role), lambda rows: [self.view(row) for row in rows])


class RoleById(_RoleResource):
    place = Endpoint.ROLE

    @operation("One role", answer=Role)
    def get(self, role_id: int) -> m.Message:
        return self.view(service.role(self.session, role_id))


RESOURCES = (
    Tokens,
    TokenForUser,
    TokenForNode,
    TokenRefreshed,
    WhoamiResource,
    Users,
    FirstUser,
    UserById,
    UserPassword,
    Roles,
    RoleById,
)
