# shellcheck shell=sh disable=SC2154
# $1: confirm or revert, $2: the token of the armed transaction, which frames the answer, too. Follows work.sh.
# The library beside the journal does it: it is of the version that wrote it.
journal=/var/lib/lvsdeploy/.journal
if [ -e "$journal/armed.$2" ]; then
    sh "$journal/lib" "$1" && exit
fi
# Somebody else was quicker: the guard, another apply, or we ourselves, when the answer was lost.
tries=60
while [ "$tries" -gt 0 ]; do
    for file in "$journal"/*."$2"; do
        [ -e "$file" ] || break 2
    done
    tries=$((tries - 1))
    sleep 1
done
words=
{ read -r words <"$base/settled"; } 2>/dev/null
case $words in
"$2 "*) cat "$base/settled" ;;
*) echo "$2 expired yes" ;;
esac
