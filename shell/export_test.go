package shell

// CommandNames returns the names of the commands without aliases.
func CommandNames() (all []string) {
	for i := range commands {
		all = append(all, commands[i].name)
	}
	return all
}

// LinesOfExamples returns the examples of all commands.
func LinesOfExamples() (all []string) {
	for i := range commands {
		all = append(all, commands[i].example)
	}
	return all
}

// Fields is the splitter of command lines.
var Fields = fields
