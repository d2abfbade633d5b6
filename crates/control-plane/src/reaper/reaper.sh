# Owns the folder of a control plane, and ends everything when its owner is gone.
#
# $1 is the process group of the control plane, $2 the folder for temporary folders. Standard
# input comes from the owner: every line replaces the companion, a process outside of the group
# that ends as well (an empty line: none). End of file means that the owner is gone, whatever
# way it went. Nothing is asked to end politely: all that the group's processes could still save
# is in the folder, which goes too.

# A terminal's Ctrl-C does not reach this group; whoever signals it anyway does not stop the work.
trap '' HUP INT QUIT TERM

folder=$(mktemp -d "$2/kube-cascade-XXXXXXXX" 2>&1) || {
    printf 'error %s\n' "$folder"
    exit 1
}
printf 'folder %s\n' "$folder"

companion=
while IFS= read -r line; do
    companion=$line
done

kill -s KILL -- "-$1"
# An interactive shell hangs up its own jobs when it is hung up itself.
test -z "$companion" || kill -s HUP "$companion"

# A process that is just ending may still create a file, so the first try can fail.
tries=0
until rm -rf "$folder" && test ! -e "$folder"; do
    tries=$((tries + 1))
    test "$tries" -lt 100 || break
    sleep 0.1
done

# The companion has five seconds to hang up its own jobs. One that has ended and whose parent has not
# looked yet still counts as being there.
waits=0
while test -n "$companion" && kill -s 0 "$companion"; do
    test "$waits" -lt 50 || {
        kill -s KILL "$companion"
        break
    }
    waits=$((waits + 1))
    sleep 0.1
done

test ! -e "$folder"
