"""Who a task is and what it may do: ids, groups, capabilities, and how they follow each other.

A Credentials is a value; every change makes another one. Rules: credentials(7), capabilities(7).
Invariants: effective <= permitted; ambient <= permitted and inheritable.
"""

from __future__ import annotations

from pkern.kernel.arguments import did_you_mean, of_type
from pkern.kernel.lean import lru_cache
from pkern.kernel.namespaces.user import FIRST, UserNamespace
from pkern.kernel.typed import Iterable
from pkern.kernel.values import Enum, NamedTuple

CAPS = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
    "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
CapSet = frozenset[str]
ALL_CAPS: CapSet = frozenset(CAPS)
NO_CAPS: CapSet = frozenset()
FILE_CAPS: CapSet = frozenset(
    {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_LINUX_IMMUTABLE",
        "CAP_MAC_OVERRIDE",
        "CAP_MKNOD",
    }
)
SECURE_NOROOT, SECURE_NO_SETUID_FIXUP, SECURE_KEEP_CAPS = 1, 4, 16
SECURE_NO_CAP_AMBIENT_RAISE = 64


@lru_cache(64)  # there are few sets, and every status shows five
def mask_of(caps: CapSet) -> int:
    """Return a set as the bits that Linux shows."""
    return sum(1 << number for number, name in enumerate(CAPS) if name in caps)


def caps_of(mask: int) -> CapSet:
    """Return the set of a mask; bits without a capability are dropped."""
    return frozenset(name for number, name in enumerate(CAPS) if mask >> number & 1)


def named_caps(names: Iterable[str]) -> CapSet:
    """Return the set of some names. Errors: ValueError (Linux has none of that name), TypeError."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        kind = type(names).__name__
        raise TypeError(f"capabilities are a set of names, not the {kind} {names!r}")
    found = frozenset(of_type("the name of a capability", name, str) for name in names)
    for name in sorted(found - ALL_CAPS):
        raise ValueError(f"there is no capability '{name}'{did_you_mean(name, ALL_CAPS)}")
    return found


class Ids(Enum):
    """Which of its ids a task acts with."""

    FILE = "those that files see"
    REAL = "the real ones"


class Credentials(NamedTuple):
    """Real, effective, saved and file-system ids; groups in order; five sets; securebits.

    Ids are the machine's. user_ns: the namespace in which the capabilities count.
    """

    uid: int = 0
    gid: int = 0
    euid: int = 0
    egid: int = 0
    suid: int = 0
    sgid: int = 0
    fsuid: int = 0
    fsgid: int = 0
    groups: tuple[int, ...] = ()
    permitted: CapSet = NO_CAPS
    effective: CapSet = NO_CAPS
    inheritable: CapSet = NO_CAPS
    bounding: CapSet = ALL_CAPS
    ambient: CapSet = NO_CAPS
    securebits: int = 0
    no_new_privs: int = 0
    user_ns: UserNamespace = FIRST

    @classmethod
    def of(cls, uid: int, gid: int, caps: CapSet) -> Credentials:
        """Return one identity with exactly these capabilities, which a new program keeps."""
        kept, bounding = (caps, ALL_CAPS) if uid else (NO_CAPS, caps)
        ids = (uid, gid) * 4
        return cls(*ids, (gid,), caps, caps, kept, bounding, kept)

    # ---- ids ----

    @property
    def uids(self) -> tuple[int, int, int]:
        """Real, effective and saved user id."""
        return self.uid, self.euid, self.suid

    @property
    def gids(self) -> tuple[int, int, int]:
        """Real, effective and saved group id."""
        return self.gid, self.egid, self.sgid

    def with_uids(self, uid: int, euid: int, suid: int) -> Credentials:
        """Return these with other user ids; leaving root for good loses the capabilities."""
        new, root = self._replace(uid=uid, euid=euid, suid=suid, fsuid=euid), self.user_ns.root
        if self.securebits & SECURE_NO_SETUID_FIXUP:
            return new
        if root in self.uids and root not in new.uids:
            new = new._left_root()
        if self.euid == root and euid != root:
            return new._replace(effective=NO_CAPS)
        if self.euid != root and euid == root:
            return new._replace(effective=new.permitted)
        return new

    def _left_root(self) -> Credentials:
        if self.securebits & SECURE_KEEP_CAPS:
            return self._replace(ambient=NO_CAPS)
        return self._replace(permitted=NO_CAPS, effective=NO_CAPS, ambient=NO_CAPS)

    def with_fsuid(self, fsuid: int) -> Credentials:
        """Return these with another file-system uid; file capabilities come and go with root."""
        new, root = self._replace(fsuid=fsuid), self.user_ns.root
        if self.securebits & SECURE_NO_SETUID_FIXUP or (self.fsuid == root) == (fsuid == root):
            return new
        if fsuid != root:
            return new._replace(effective=self.effective - FILE_CAPS)
        return new._replace(effective=self.effective | self.permitted & FILE_CAPS)

    def with_gids(self, gid: int, egid: int, sgid: int) -> Credentials:
        """Return these with other group ids."""
        return self._replace(gid=gid, egid=egid, sgid=sgid, fsgid=egid)

    def real(self) -> Credentials:
        """Return who access(2) asks for: the real ids, and root's capabilities only for root."""
        effective = self.permitted if self.uid == self.user_ns.root else NO_CAPS
        if self.securebits & SECURE_NO_SETUID_FIXUP:
            effective = self.effective
        return self._replace(fsuid=self.uid, fsgid=self.gid, effective=effective)

    # ---- capabilities ----

    def with_caps(self, effective: CapSet, permitted: CapSet, inheritable: CapSet) -> Credentials:
        """Return these with other sets; the ambient set shrinks with them."""
        return self._replace(
            effective=effective,
            permitted=permitted,
            inheritable=inheritable,
            ambient=self.ambient & permitted & inheritable,
        )

    def has(self, capability: str, over: UserNamespace) -> bool:
        """Tell whether these have power over what a user namespace owns.

        They have in their own one what is in effect, in those below it the same; and whoever owns
        one that lies directly in theirs has all over it. Source: cap_capable() of Linux 6.18.
        """
        own, here = self.user_ns, over
        while here is not own:
            if here.level <= own.level or here.owner is None:
                return False
            if here.owner is own and here.uid == self.euid:
                return True
            here = here.owner
        return capability in self.effective

    def covers(self, other: Credentials, ids: Ids) -> bool:
        """Tell whether other is all of one user and group, this one's, and can do no more."""
        able = self.effective if ids is Ids.FILE else self.permitted
        return self.owns(other, ids) and self.user_ns is other.user_ns and other.permitted <= able

    def owns(self, other: Credentials, ids: Ids) -> bool:
        """Tell whether other is all of one user and group, this one's."""
        mine = (self.fsuid, self.fsgid) if ids is Ids.FILE else (self.uid, self.gid)
        return set(other.uids) == {mine[0]} and set(other.gids) == {mine[1]}

    def in_new(self, user_ns: UserNamespace) -> Credentials:
        """Return these in another user namespace, all of whose capabilities they have.

        Source: set_cred_user_ns() of Linux 6.18.
        """
        return self._replace(
            user_ns=user_ns,
            permitted=ALL_CAPS,
            effective=ALL_CAPS,
            inheritable=NO_CAPS,
            ambient=NO_CAPS,
            bounding=ALL_CAPS,
            securebits=0,
        )

    def gains(self, old: Credentials) -> bool:
        """Tell whether these may do what others might not know of: the task is not dumpable."""
        same = all(
            getattr(self, name) == getattr(old, name) for name in ("euid", "egid", "fsuid", "fsgid")
        )
        return not same or not _is_subset(self, old)


def _is_subset(new: Credentials, old: Credentials) -> bool:
    """Tell whether new can do no more than old. Source: cred_cap_issubset() of Linux 6.18."""
    if new.user_ns is old.user_ns:
        return new.permitted <= old.permitted
    here = new.user_ns
    while here.owner is not None:
        if here.owner is old.user_ns and here.uid == old.euid:
            return True
        here = here.owner
    return False
