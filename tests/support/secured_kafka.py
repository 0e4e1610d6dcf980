"""A real broker that lets in whom it knows: SASL and TLS listeners, users with and without rights."""

from collections.abc import Collection
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from sprat_local.kafka.broker import EmbeddedKafka, KafkaNode
from sprat_local.processes.ports import HOST, free_port
from support.certificates import self_signed

USER, PASSWORD = "sprat", "a right word for the tests"
GUEST = "guest"
"""Has the same password, and no right to anything."""
_CLIENT = "client"
_ITERATIONS = 4096


class Keys:
    """Two self-signed certificates with their keys: the broker's, and one of a client."""

    def __init__(self, folder: Path) -> None:
        self.broker, self._broker_key = self_signed(folder / "broker", HOST, HOST)
        self.client, self.client_key = self_signed(folder / "client", _CLIENT, HOST)
        self.store = folder / "store.pem"
        self.store.write_text(self._broker_key.read_text() + self.broker.read_text())


class SecuredKafka(EmbeddedKafka):
    """Beside the plain listener, where everybody may do everything: SASL_SSL, SASL_PLAINTEXT and SSL ones."""

    def __init__(self, keys: Keys, users: Collection[str] = ()) -> None:
        """Let in more users with the same password, who have no right until they get one."""
        super().__init__()
        self.keys = keys
        self.users = users
        self.ports = {name: free_port() for name in ("SASL_SSL", "SASL_PLAINTEXT", "SSL")}

    def address(self, protocol: str) -> str:
        """Return what clients of a protocol take as their bootstrap servers."""
        return f"{HOST}:{self.ports[protocol]}"

    def node_settings(self, node: KafkaNode, port: int) -> dict[str, object]:
        usual = super().node_settings(node, port)
        plain = f"PLAINTEXT://{HOST}:{port}"
        secured = ",".join(f"{name}://{HOST}:{number}" for name, number in self.ports.items())
        known = f'user_{USER}="{PASSWORD}" user_{GUEST}="{PASSWORD}"'
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {known};"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        more: dict[str, object] = {
            "listeners": f"{usual['listeners']},{secured}",
            "advertised.listeners": f"{plain},{secured}",
            "listener.security.protocol.map": ",".join(f"{name}:{name}" for name in ("PLAINTEXT", *self.ports))
            + ",CONTROLLER:PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.keys.store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.keys.client,
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{USER};User:CN=client",
        }
        for name in ("sasl_ssl", "sasl_plaintext"):
            more[f"listener.name.{name}.plain.sasl.jaas.config"] = login
            more[f"listener.name.{name}.scram-sha-256.sasl.jaas.config"] = scram
            more[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = scram
        return usual | more

    def start(self) -> None:
        super().start()
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            kind = ScramCredentialInfo(mechanism, _ITERATIONS)
            known = [UserScramCredentialUpsertion(user, kind, PASSWORD.encode()) for user in (USER, GUEST, *self.users)]
            # One mechanism at a time: a request may name a user once.
            for done in admin.alter_user_scram_credentials(known).values():
                done.result(10)

    def permit(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Give the guest a right to everything of a kind whose name begins with `name`."""
        literal = kind is ResourceType.BROKER  # what librdkafka calls the cluster
        self.add_acl(kind, name, operation, prefixed=not literal)

    def add_acl(
        self,
        kind: ResourceType,
        name: str,
        operation: AclOperation,
        principal: str = f"User:{GUEST}",
        *,
        prefixed: bool = False,
        allows: bool = True,
    ) -> AclBinding:
        """Add an entry to the access control lists."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        permission = AclPermissionType.ALLOW if allows else AclPermissionType.DENY
        acl = AclBinding(kind, name, pattern, principal, "*", operation, permission)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_acls([acl]).values():
            done.result(10)
        return acl

    def remove_acl(self, acl: AclBinding) -> None:
        """Remove an entry from the access control lists."""
        about = AclBindingFilter(
            acl.restype,
            acl.name,
            acl.resource_pattern_type,
            acl.principal,
            acl.host,
            acl.operation,
            acl.permission_type,
        )
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.delete_acls([about]).values():
            done.result(10)

    def settings(self, protocol: str = "SASL_SSL", **changes: str) -> dict[str, str]:
        """Return the variables of a client, with changes of them, named without their first part."""
        found = {"BOOTSTRAP": self.address(protocol), "SECURITY_PROTOCOL": protocol}
        if protocol.endswith("SSL"):
            found["SSL_CAFILE"] = str(self.keys.broker)
        if protocol.startswith("SASL"):
            found |= {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": USER, "SASL_PASSWORD": PASSWORD}
        return {f"SPRAT_KAFKA__{name}": value for name, value in (found | changes).items() if value}
