# Completes foster's command line in fish: `foster completions fish | source`, or this as a file
# `foster.fish` in ~/.config/fish/completions/. What fits where, foster itself knows.
function __foster_fitting
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l fitting ($words[1] completions fish -- $words[2..] "$current" 2>/dev/null)
    if test "$fitting" = :files
        __fish_complete_path "$current"
    else
        string collect -- $fitting
    end
end
complete -c foster -f -a '(__foster_fitting)'
