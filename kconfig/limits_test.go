package kconfig

import (
	"fmt"
	"strings"
	"testing"
)

// Menus that would take for ever are refused, and long ones are not.
func TestLimits(t *testing.T) {
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i+1, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, text, want string }{
		{"statements", strings.Repeat("config A\n\tbool\n", maxNodes+1), "more than 131072 statements"},
		{
			"conditions", strings.Repeat("if "+strings.Repeat("A && ", 8000)+"A\n", 60) + strings.Repeat("config B\n\tbool\n", 50000) + strings.Repeat("endif\n", 60),
			"the conditions of the menu are too long",
		},
		{"many dependencies", "config A\n\tbool \"a\"\n" + strings.Repeat("\tdepends on B\n", 200_000), ""},
		{"many selects", "config A\n\tbool \"a\"\n" + strings.Repeat("\tselect B\n", 200_000), ""},
		{"long chain", "config S0\n\tbool \"a\"\n" + repeat(20_000, "config S%d\n\tbool \"a\"\n\tdepends on S%d\n"), ""},
		{"large choice", "choice\n\tprompt \"c\"\n" + repeat(20_000, "\tdefault S%d if NO%[2]d = 7\n") + repeat(20_000, "config S%d\n\tbool \"m%d\"\n") + "endchoice\nconfig S0\n\tint\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := parseText(t, c.text)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := tree.Write(&b, ""); err != nil {
				t.Fatal(err)
			}
			last := tree.Symbols[len(tree.Symbols)-1]
			if m := last.Missing(); len(m) > 4096 {
				t.Errorf("what is missing takes %d bytes to say", len(m))
			}
			if n := len(tree.Enable(last.Name)); n > 1000 {
				t.Errorf("%d symbols were brought along", n)
			}
		})
	}
}

// Two that exclude each other cannot be brought both, however often it is tried.
func TestEnableExclusive(t *testing.T) {
	var b strings.Builder
	const levels = 20
	for i := range levels {
		fmt.Fprintf(&b, "choice\n\tprompt \"c\"\nconfig X%d\n\tbool \"x\"\n\tselect L%[1]d\nconfig Y%[1]d\n\tbool \"y\"\nendchoice\nconfig L%[1]d\n\tbool \"l\"\n\tdepends on X%[1]d && Y%[1]d", i)
		if i > 0 {
			fmt.Fprintf(&b, " && L%d", i-1)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "config LAST\n\tbool \"last\"\n\tdepends on L%d\n", levels-1)
	tree := mustParse(t, b.String())
	if brought := tree.Enable("LAST"); len(brought) > 3*levels {
		t.Errorf("%d symbols were brought along", len(brought))
	}
}

// A member of a choice brings what its choice needs.
func TestEnableChoice(t *testing.T) {
	tree := mustParse(t, "config A\n\tbool \"a\"\nconfig B\n\tbool \"b\"\n\tdepends on A\nchoice\n\tprompt \"c\"\n\tdepends on B\nconfig C\n\tbool \"c\"\nconfig D\n\tbool \"d\"\nendchoice\n")
	if got := strings.Join(tree.Enable("D"), " "); got != "A B" || !tree.Lookup("D").Bool() {
		t.Errorf("%q were brought along, D is %s", got, tree.Lookup("D").Value())
	}
}
