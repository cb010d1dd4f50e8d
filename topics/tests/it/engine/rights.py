"""deny|allow OPERATION TOPIC on a broker whose users have no names: everything else stays allowed."""

import sys

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

bootstrap, what, operation, topic = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})


def of(kind, operation, permission):
    place = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*")
    return kind(*place, operation, permission)


operation = AclOperation[operation]
if what == "deny":
    acls = [
        of(AclBinding, AclOperation.ALL, AclPermissionType.ALLOW),
        of(AclBinding, operation, AclPermissionType.DENY),
    ]
    outcomes = admin.create_acls(acls)
else:
    outcomes = admin.delete_acls([of(AclBindingFilter, operation, AclPermissionType.DENY)])
for outcome in outcomes.values():
    outcome.result(timeout=20)
