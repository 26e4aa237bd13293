package kconfig

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// parse reads a menu of one file.
func parseText(t testing.TB, text string) (*Tree, error) {
	t.Helper()
	return Parse(fstest.MapFS{"Kconfig": {Data: []byte(text)}}, "Kconfig")
}

func mustParse(t testing.TB, text string) *Tree {
	t.Helper()
	tree, err := parseText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"config A\n\ttristate \"a\"\n", "Kconfig:2: tristate is not supported"},
		{"config A\n\tbool \"a\"\n\timply B\n", "Kconfig:3: imply is not supported"},
		{"config A\n\tbool \"a\"\n\toption env=\"X\"\n", "Kconfig:3: option is not supported"},
		{"menu \"m\"\n\tvisible if A\nendmenu\n", "Kconfig:2: visible if is not supported"},
		{"choice\n\toptional\nendchoice\n", "Kconfig:2: optional is not supported"},
		{"choice NAME\nendchoice\n", "Kconfig:1: choices with names are not supported"},
		{"rsource \"x\"\n", "Kconfig:1: rsource is not supported: use source"},
		{"A := y\n", "Kconfig:1: macros are not supported"},
		{"A = y\n", "Kconfig:1: macros are not supported"},
		{"config A\n\tbool \"$(B)\"\n", "Kconfig:2: macros and environment variables ($) are not supported"},
		{"config A\n\tbool \"a\"\n\tdepends on $B\n", "Kconfig:3: macros and environment variables ($) are not supported"},
		{"config A\n\tbool \"a\"\n\tdefault m\n", "Kconfig:3: m is not supported"},
		{"config\n", "Kconfig:1: the name of a symbol is missing"},
		{"config y\n", "Kconfig:1: the name of a symbol is missing"},
		{"config A B\n", `Kconfig:1: unexpected "B" behind`},
		{"config A\n\tbool a\n", "Kconfig:2: the prompt must stand in quotes"},
		{"config A\n\tbool \"a\n", "Kconfig:2: the string that begins with"},
		{"config A\n\tdepends A\n", `Kconfig:2: "on" is missing`},
		{"config A\n\tbool\n\tdepends on (A\n", "Kconfig:3: a closing parenthesis is missing"},
		{"config A\n\tbool\n\tdepends on A &&\n", "Kconfig:3: a symbol or value is missing"},
		{"config A\n\tbool\n\tdepends on A B\n", `Kconfig:3: unexpected "B"`},
		{"config A\n\tbool\n\tint\n", "Kconfig:3: A is int here and bool elsewhere"},
		{"config A\n\tdefault y\n", "Kconfig:1: A has no type"},
		{"config A\n\tint \"a\"\n\tdefault abc\n", `Kconfig:1: the default "abc" of A is not a number of base 10`},
		{"config A\n\tint \"a\"\n\tdefault B && C\n", "Kconfig:1: the default of A, which is int, is an expression"},
		{"config A\n\tbool \"a\"\n\trange 1 2\n", "Kconfig:1: A has a range and is bool"},
		{"config A\n\tint \"a\"\n\tselect B\n", "Kconfig:1: A selects and is int"},
		{"config A\n\tbool \"a\"\n\tselect B\nconfig B\n\tint \"b\"\n", "Kconfig:1: A selects B, which is int"},
		{"choice\n\tprompt \"c\"\n\tdefault B\nconfig A\n\tbool \"a\"\nendchoice\n", "Kconfig:1: the default of the choice, B, is not one of its members"},
		{"choice\n\tprompt \"c\"\nconfig A\n\tint \"a\"\nendchoice\n", "Kconfig:3: A is a member of a choice and must be a bool"},
		{"menu \"m\"\n", "Kconfig:1: the block that begins here has no endmenu"},
		{"endmenu\n", "Kconfig:1: endmenu without menu"},
		{"menu \"m\"\nendif\n", "Kconfig:2: endif without if"},
		{"menu m\n", "Kconfig:1: a text in quotes is missing"},
		{"frobnicate\n", `Kconfig:1: "frobnicate" is no statement`},
		{"menu \"m\"\n\tdefault y\nendmenu\n", "Kconfig:2: a menu or comment has no default"},
		{"source \"none\"\n", `Kconfig:1: source "none": there is no file none`},
		{"source \"Kconfig\"\n", "Kconfig:1: Kconfig includes itself: Kconfig > Kconfig"},
		{"config A\n\tbool \"a\" if A\n", "A depends on itself: A needs A"},
		{"config A\n\tbool \"a\" if B\nconfig B\n\tbool \"b\"\n\tdepends on A\n", "A depends on itself: A needs B needs A"},
		{"config A\n\tbool \"a\"\n\tselect A\n", "A depends on itself"},
		{strings.Repeat("menu \"m\"\n", 100), "blocks lie in each other more than 64 deep"},
		{"config A\n\tbool\n\tdepends on " + strings.Repeat("(", 1000), "parentheses lie in each other"},
		{"config A\n\tbool\n\tdepends on " + strings.Repeat("!", 1000) + "A", "parentheses lie in each other"},
		{"comment \"" + strings.Repeat("x", 70000) + "\"\n", "a line of more than 64 KiB"},
	} {
		_, err := parseText(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Parse(fstest.MapFS{}, "Kconfig"); err == nil || !strings.Contains(err.Error(), "there is no file Kconfig") {
		t.Errorf("no file: %v", err)
	}
}

// A long chain is no loop, and takes no deep stack.
func TestLongChain(t *testing.T) {
	var b strings.Builder
	b.WriteString("config S0\n\tdef_bool y\n")
	const n = 20000
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "config S%d\n\tdef_bool S%d\n", i, i-1)
	}
	if !mustParse(t, b.String()).Lookup(fmt.Sprint("S", n)).Bool() {
		t.Error("the last one is not y")
	}
}

func TestSource(t *testing.T) {
	tree, err := Parse(fstest.MapFS{
		"Kconfig":       {Data: []byte("mainmenu \"M\"\nsource \"a/Kconfig\"\nconfig C\n\tbool \"c\"\n")},
		"a/Kconfig":     {Data: []byte("config A\n\tbool \"a\"\nsource \"a/b/Kconfig\"\n")},
		"a/b/Kconfig":   {Data: []byte("if A\nconfig B\n\tbool \"b\" # comment\n\thelp\n\t  Two\n\n\t    lines.\nendif")},
		"not/mentioned": {Data: []byte("rubbish")},
	}, "Kconfig")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range tree.Symbols {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"A", "B", "C"}, names); d != "" {
		t.Error(d)
	}
	b := tree.Lookup("B")
	if d := cmp.Diff("Two\n\n  lines.", b.Help()); d != "" {
		t.Error(d)
	}
	if n := b.Nodes[0]; n.File != "a/b/Kconfig" || n.Line != 2 || n.Parent.Symbol != tree.Lookup("A") {
		t.Errorf("B is at %s:%d below %v", n.File, n.Line, n.Parent)
	}
}

const debugMenu = `
config VERSION
	bool "version"
config DEBUG
	bool "debug"
	depends on VERSION
config HELPER
	bool
config LEAK
	bool "leak"
	depends on DEBUG && VERSION
	select HELPER
config COUNT
	int "count"
	range 1 8
	default 3
	depends on LEAK
choice
	prompt "which"
config ONE
	bool "one"
config TWO
	bool "two"
	depends on LEAK
endchoice
config TEXT
	string "text"
	default "a"
`

func TestSet(t *testing.T) {
	tree := mustParse(t, debugMenu)
	refuse := func(name, value, want string) {
		t.Helper()
		var before, after strings.Builder
		tree.Write(&before, "")
		if err := tree.Set(name, value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s=%s: %v, want %s", name, value, err, want)
		}
		if tree.Write(&after, ""); before.String() != after.String() {
			t.Errorf("%s=%s was refused and changed something", name, value)
		}
	}
	accept := func(name, value string) {
		t.Helper()
		if err := tree.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	refuse("LEAK", "y", "LEAK needs DEBUG, which needs VERSION")
	refuse("COUNT", "5", "COUNT needs LEAK, which needs DEBUG, which needs VERSION")
	refuse("HELPER", "y", "HELPER has no prompt")
	refuse("TWO", "y", "TWO needs LEAK")
	refuse("ONE", "n", `ONE is chosen in the choice "which": choose another one there`)
	refuse("NOTHING", "y", "there is no symbol NOTHING")
	refuse("VERSION", "x", `VERSION is a bool: "x" is neither y nor n`)
	accept("VERSION", "y")
	refuse("LEAK", "y", "LEAK needs DEBUG")
	accept("DEBUG", "y")
	accept("LEAK", "y")
	if !tree.Lookup("HELPER").Bool() {
		t.Error("HELPER is not selected")
	}
	refuse("COUNT", "9", "COUNT=9 is out of its range, 1 to 8")
	refuse("COUNT", "x", `COUNT is an int: "x" is not a decimal number`)
	accept("COUNT", "8")
	accept("TWO", "y")
	accept("TEXT", `say "x\y"`)
	var b strings.Builder
	if err := tree.Write(&b, ""); err != nil {
		t.Fatal(err)
	}
	want := "VERSION=y\nDEBUG=y\nHELPER=y\nLEAK=y\nCOUNT=8\n# ONE is not set\nTWO=y\nTEXT=\"say \\\"x\\\\y\\\"\"\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	tree.Unset("LEAK")
	if tree.Lookup("COUNT").Written() || tree.Lookup("TWO").Bool() {
		t.Error("what depends on LEAK stays without it")
	}
}

func TestEnable(t *testing.T) {
	tree := mustParse(t, debugMenu)
	brought := tree.Enable("LEAK")
	if d := cmp.Diff([]string{"VERSION", "DEBUG"}, brought); d != "" || !tree.Lookup("LEAK").Bool() {
		t.Error(d)
	}
	if b := tree.Enable("COUNT"); b != nil {
		t.Errorf("an int brought %q", b)
	}
	other := mustParse(t, "config A\n\tbool \"a\"\n\tdepends on !B\nconfig B\n\tdef_bool y\n")
	if b := other.Enable("A"); len(b) > 0 || other.Lookup("A").Bool() {
		t.Errorf("what cannot be enabled was: %q", b)
	}
}

func TestLoadProblems(t *testing.T) {
	tree := mustParse(t, debugMenu)
	problems, err := tree.Load(strings.NewReader("LEAK=y\nOTHER=1\nVERSION=maybe\nTEXT=bare\nTEXT=\"b\"\nTEXT=\"c\"\nrubbish\n# a comment\n\nCOUNT=3x\n# VERSION is not set\n"), "x.config")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Error())
	}
	want := []string{
		"x.config:2: there is no symbol OTHER in the menu",
		`x.config:3: VERSION is a bool: "maybe" is neither y nor n`,
		"x.config:4: TEXT is a string: \"bare\" must stand in quotes",
		"x.config:6: TEXT was set in line 5 already; this one counts",
		`x.config:7: "rubbish" is neither an assignment nor a comment`,
		`x.config:10: COUNT is an int: "3x" is not a decimal number`,
		"x.config:1: LEAK needs DEBUG, which needs VERSION",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if v := tree.Lookup("TEXT").Value(); v != "c" {
		t.Errorf("TEXT is %q", v)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(debugMenu, "LEAK=y\nCOUNT=5\n")
	f.Add("menu \"m\"\ndepends on A = \"x\" || !(B < 3)\nconfig A\nhex \"a\"\nrange 0x1 B if A != 7\nendmenu\n", "A=0x5\n")
	f.Add("choice\nbool \"c\"\nconfig A\nbool \"a\"\nconfig B\nbool \"b\" if A\nendchoice\ncomment \"c\"\n", "B=y\n")
	f.Fuzz(func(t *testing.T, menu, config string) {
		if len(menu) > 4<<10 {
			return // what follows looks at every symbol in turn
		}
		tree, err := parseText(t, menu)
		if err != nil {
			return
		}
		if _, err := tree.Load(strings.NewReader(config), "x"); err != nil {
			return
		}
		var first, second strings.Builder
		tree.Write(&first, "")
		tree.WriteMinimal(&second, "")
		for _, s := range tree.Symbols {
			s.Missing()
			tree.Enable(s.Name)
		}
		// What was written has all values again.
		if _, err := tree.Load(strings.NewReader(first.String()), "x"); err != nil {
			t.Fatal(err)
		}
	})
}
