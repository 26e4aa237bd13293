package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// pageWidth is how wide help is where nothing says how wide the terminal is.
const pageWidth = 80

// help writes what a verb does, its flags broken at blanks.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	width, _ := terminal(w)
	if width <= 0 {
		width = pageWidth
	}
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", about, cmd.UseLine())
	helpVerbs(w, cmd)
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s\n", strings.TrimRight(cmd.LocalFlags().FlagUsagesWrapped(width), "\n"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s VERB --help explains a verb.\n", cmd.Name())
	}
}

// helpVerbs lists the verbs below cmd, if there are any.
func helpVerbs(w io.Writer, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	fmt.Fprint(w, "  "+cmd.Name()+" VERB\n\nVerbs:\n")
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() || verb.Name() == "help" {
			fmt.Fprintf(w, "  %-*s %s\n", verb.NamePadding(), verb.Name(), verb.Short)
		}
	}
}
