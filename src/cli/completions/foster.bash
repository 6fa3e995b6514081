# Completes foster's command line in bash: `source <(foster completions bash)`, or this as a file in
# /etc/bash_completion.d/. What fits where, foster itself knows.
_foster() {
    local fitting
    COMPREPLY=()
    fitting=$("$1" completions bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [ "$fitting" = :files ]; then
        compopt -o default
    else
        mapfile -t COMPREPLY < <(compgen -W "$fitting" -- "$2")
    fi
}
complete -F _foster foster
