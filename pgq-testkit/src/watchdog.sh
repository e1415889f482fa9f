# Reads "watch PID", "watch" and "kill SIGNAL PID..." until the other end of the pipe is gone, then cleans up.
directory=$1
lock_file=$directory/data/postmaster.pid
pid=
while read -r verb arguments; do
    case $verb in
        watch) pid=$arguments ;;
        kill) kill -s $arguments ;;
    esac
done
if [ -n "$pid" ]; then
    kill -s QUIT "$pid"
    # The process alone would not tell: a zombie stays for as long as nobody asks for its exit status.
    tries=0
    while kill -s 0 "$pid" && [ -e "$lock_file" ] && [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.05 || sleep 1
    done
fi
# A killed server leaves its lock file, whose line 7 names the shared memory segment it left as well.
segment=$(sed -n '7s/.* //p' "$lock_file")
[ -z "$segment" ] || ipcrm -m "$segment"
tries=0
until rm -rf -- "$directory" && [ ! -e "$directory" ] || [ $tries -ge 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
