# Reads "watch SIGNAL PID", "watch", "stopped PID..." and "mounted" until the other end of the pipe is gone, then cleans up.
directory=$1
lock_file=$directory/data/postmaster.pid
pid= signal= stopped= mounted=
while read -r verb arguments; do
    case $verb in
        watch) signal=${arguments%% *} pid=${arguments##* } ;;
        stopped) stopped=$arguments ;;
        mounted) mounted=yes ;;
    esac
done
if [ -n "$pid" ]; then
    kill -s "$signal" "$pid"
    [ -z "$stopped" ] || kill -s CONT $stopped
    # The process alone would not tell: a zombie stays for as long as nobody asks for its exit status.
    tries=0
    while kill -s 0 "$pid" && [ -e "$lock_file" ] && [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.05 || sleep 1
    done
fi
[ -n "$directory" ] || exit
# A killed server leaves its lock file, whose line 7 names the shared memory segment it left as well.
segment=$(sed -n '7s/.* //p' "$lock_file")
[ -z "$segment" ] || ipcrm -m "$segment"
# Lazily: a server with files there may not have ended yet.
[ -z "$mounted" ] || umount -l -- "$directory"
tries=0
until rm -rf -- "$directory" && [ ! -e "$directory" ] || [ $tries -ge 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
