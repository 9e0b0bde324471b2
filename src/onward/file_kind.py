"""What kind of file a path names, in words."""

import stat

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def kind_of(mode: int) -> str:
    """Returns the kind of a file, such as "a named pipe", from the mode in its status."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")
