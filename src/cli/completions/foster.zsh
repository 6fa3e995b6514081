#compdef foster
# Completes foster's command line in zsh: `source <(foster completions zsh)` after compinit, or this as a
# file `_foster` in a folder of $fpath. What fits where, foster itself knows.
_foster() {
    local -a fitting
    fitting=("${(@f)$(${(Q)words[1]} completions zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $fitting[1] == :files ]]; then
        _files
    elif [[ -n $fitting[1] ]]; then
        _describe -t foster foster fitting
    fi
}
if [[ $funcstack[1] == _foster ]]; then _foster "$@"; else compdef _foster foster; fi
