package kconfig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python finds an interpreter that has Kconfiglib.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import kconfiglib").Run() == nil {
			return name
		}
	}
	if os.Getenv("TEST_REQUIRE_KCONFIGLIB") != "" {
		t.Fatal("python3 with kconfiglib (Debian: python3-kconfiglib) is required and not there")
	}
	t.Skip("python3 with kconfiglib (Debian: python3-kconfiglib) is not there")
	return ""
}

// TestKconfiglib compares configurations byte for byte with those of Kconfiglib,
// over random menus with random assignments.
func TestKconfiglib(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 50
	}
	var dirs []string
	root := t.TempDir()
	for i := range n {
		g := &generator{r: rand.New(rand.NewPCG(1, uint64(i)))}
		dirs = append(dirs, written(t, root, g.menu(), g.assignments()))
	}
	refused := compare(t, dirs)
	t.Logf("%d menus, of which Kconfiglib refuses %d", n, refused)
	if refused > n/2 {
		t.Errorf("too few menus are sound")
	}
}

// TestOurMenu does the same over the menu of this repository.
func TestOurMenu(t *testing.T) {
	menu, err := os.ReadFile("../config/Kconfig")
	if err != nil {
		t.Fatal(err)
	}
	tree := mustParse(t, string(menu))
	root := t.TempDir()
	dirs := []string{written(t, root, string(menu), "")}
	for i := range 40 {
		g := &generator{r: rand.New(rand.NewPCG(2, uint64(i))), types: map[string]Type{}}
		for _, s := range tree.Symbols {
			g.names = append(g.names, s.Name)
			g.types[s.Name] = s.Type()
		}
		// Without these most of the menu is hidden.
		dirs = append(dirs, written(t, root, string(menu), g.assignments()+"LOSCFG_DEBUG_VERSION=y\nLOSCFG_MEM_DEBUG=y\n"))
	}
	if compare(t, dirs) > 0 {
		t.Error("Kconfiglib refuses the menu")
	}
}

// written makes a directory with a menu and a configuration.
func written(t *testing.T, root, menu, config string) string {
	t.Helper()
	dir, err := os.MkdirTemp(root, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "Kconfig", menu)
	write(t, dir, "in.config", config)
	return dir
}

// compare compares what the two make of menus, and returns how many of them
// Kconfiglib refuses. It sees loops also where nothing depends on them.
func compare(t *testing.T, dirs []string) (refused int) {
	t.Helper()
	py := python(t)
	if out, err := exec.Command(py, append([]string{"testdata/judge.py"}, dirs...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range dirs {
		if read(dir, "out.error") != "" {
			refused++
			continue
		}
		tree, err := Parse(os.DirFS(dir), "Kconfig")
		if err != nil {
			t.Fatalf("%v\n%s", err, read(dir, "Kconfig"))
		}
		if _, err := tree.Load(strings.NewReader(read(dir, "in.config")), "in.config"); err != nil {
			t.Fatal(err)
		}
		var all, least bytes.Buffer
		if err := tree.Write(&all, "# head\n"); err != nil {
			t.Fatal(err)
		}
		if err := tree.WriteMinimal(&least, ""); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ theirs, ours string }{{"out.config", all.String()}, {"out.min", least.String()}} {
			if d := cmp.Diff(read(dir, c.theirs), c.ours); d != "" {
				t.Fatalf("%s: -theirs +ours\n%s\n%s\n%s", c.theirs, d, read(dir, "Kconfig"), read(dir, "in.config"))
			}
		}
	}
	return refused
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return string(b)
}

// generator makes menus. A symbol refers mostly to those defined in front of it,
// so that few menus have loops.
type generator struct {
	r     *rand.Rand
	b     strings.Builder
	names []string
	types map[string]Type
	depth int
	// members are the symbols in choices
	members map[string]bool
}

func (g *generator) menu() string {
	g.types, g.members = map[string]Type{}, map[string]bool{}
	if g.chance(.3) {
		g.b.WriteString("mainmenu \"A menu\"\n\n")
	}
	g.block(4 + g.r.IntN(12))
	return g.b.String()
}

func (g *generator) chance(p float64) bool { return g.r.Float64() < p }

func (g *generator) line(format string, args ...any) {
	g.b.WriteString(strings.Repeat("\t", g.depth))
	fmt.Fprintf(&g.b, format+"\n", args...)
}

func (g *generator) block(n int) {
	for range n {
		switch k := g.r.IntN(20); {
		case k < 2 && g.depth < 4:
			g.line("menu \"Menu %d\"", g.r.IntN(100))
			g.inside(func() { g.depends(.4); g.block(1 + g.r.IntN(4)) })
			g.line("endmenu")
		case k < 4 && g.depth < 4 && len(g.names) > 0:
			g.line("if %s", g.expr(2))
			g.inside(func() { g.block(1 + g.r.IntN(4)) })
			g.line("endif")
		case k < 6:
			g.choice()
		case k < 7:
			g.line("comment \"Comment %d\"", g.r.IntN(100))
			g.inside(func() { g.depends(.4) })
		default:
			g.symbol()
		}
	}
}

func (g *generator) inside(f func()) {
	g.depth++
	f()
	g.depth--
}

func (g *generator) depends(p float64) {
	for g.chance(p) && len(g.names) > 0 {
		g.line("depends on %s", g.expr(2))
		p /= 3
	}
}

func (g *generator) choice() {
	g.line("choice")
	first := len(g.names)
	n := 1 + g.r.IntN(4)
	g.inside(func() {
		if g.chance(.9) {
			g.line("prompt \"Choice %d\"%s", g.r.IntN(100), g.when(.2))
		}
		if g.chance(.3) {
			g.line("bool")
		}
		g.depends(.2)
		for g.chance(.4) {
			g.line("default S%d%s", first+g.r.IntN(n), g.when(.2))
		}
		g.b.WriteString("\n")
		before := len(g.names)
		var members []string
		for i := range n {
			name := fmt.Sprintf("S%d", first+i)
			g.line("config %s", name)
			g.inside(func() {
				g.line("bool \"Member %s\"", name)
				if before > 0 && g.chance(.2) {
					g.line("depends on %s", g.expr(1))
				}
			})
			members = append(members, name)
		}
		for _, m := range members {
			g.names = append(g.names, m)
			g.types[m], g.members[m] = Bool, true
		}
	})
	g.line("endchoice")
}

func (g *generator) symbol() {
	name := fmt.Sprintf("S%d", len(g.names))
	typ := Type(1 + g.r.IntN(4))
	if g.chance(.5) || g.types[name] == Bool {
		typ = Bool
	}
	old := len(g.names) > 0 && g.chance(.05)
	if old {
		name = g.names[g.r.IntN(len(g.names))]
		typ = g.types[name]
	}
	if old && g.members[name] { // Kconfiglib does not see all loops there
		return
	}
	if g.chance(.2) {
		g.line("menuconfig %s", name)
	} else {
		g.line("config %s", name)
	}
	g.inside(func() {
		switch {
		case g.chance(.1):
			g.line("def_%s %s%s", typ, g.value(typ), g.when(.3))
		case g.chance(.15):
			g.line("%s", typ)
		default:
			g.line("%s \"Prompt of %s\"%s", typ, name, g.when(.2))
		}
		g.depends(.35)
		for g.chance(.45) {
			g.line("default %s%s", g.value(typ), g.when(.4))
		}
		if typ == Int && g.chance(.5) {
			low := g.r.IntN(100) - 20
			g.line("range %d %d%s", low, low+g.r.IntN(50), g.when(.3))
		}
		if typ == Hex && g.chance(.5) {
			low := g.r.IntN(100)
			g.line("range %#x %#x%s", low, low+g.r.IntN(50), g.when(.3))
		}
		if typ == Bool && g.chance(.15) {
			g.line("select %s%s", g.later(), g.when(.3))
		}
		if g.chance(.2) {
			g.line("help")
			g.line("  Some help.")
			g.b.WriteString("\n")
			g.line("    More help, config, endmenu.")
		}
	})
	g.b.WriteString("\n")
	if !old {
		g.names = append(g.names, name)
		g.types[name] = typ
	}
}

func (g *generator) when(p float64) string {
	if len(g.names) == 0 || !g.chance(p) {
		return ""
	}
	return " if " + g.expr(2)
}

// bool is the name of a bool, or of nothing.
func (g *generator) bool() string {
	for range 5 {
		if len(g.names) > 0 {
			if n := g.names[g.r.IntN(len(g.names))]; g.types[n] == Bool {
				return n
			}
		}
	}
	return "NOWHERE"
}

// later is the name of a bool that is still to come, mostly.
func (g *generator) later() string {
	if g.chance(.1) {
		return g.bool()
	}
	n := fmt.Sprintf("S%d", len(g.names)+1+g.r.IntN(4))
	g.types[n] = Bool
	return n
}

func (g *generator) value(typ Type) string {
	if g.chance(.2) {
		for range 5 {
			if len(g.names) > 0 {
				if n := g.names[g.r.IntN(len(g.names))]; g.types[n] == typ {
					return n
				}
			}
		}
	}
	switch typ {
	case Bool:
		if g.chance(.3) && len(g.names) > 0 {
			return g.expr(2)
		}
		return []string{"y", "n"}[g.r.IntN(2)]
	case Int:
		return []string{"7", "64", "007", "-3", "1000"}[g.r.IntN(5)]
	case Hex:
		return []string{"0x10", "0x0", "0xFf", "ab", "0x2a"}[g.r.IntN(5)]
	}
	return []string{`"text"`, `"a \"quote\" and \\"`, `""`, `'single'`}[g.r.IntN(4)]
}

func (g *generator) expr(depth int) string {
	switch k := g.r.IntN(12); {
	case depth > 0 && k < 2:
		return g.expr(depth-1) + " && " + g.expr(depth-1)
	case depth > 0 && k < 4:
		return g.expr(depth-1) + " || " + g.expr(depth-1)
	case depth > 0 && k < 5:
		return "(" + g.expr(depth-1) + ")"
	case depth > 0 && k < 6:
		return "!" + g.expr(0)
	case k < 9:
		n := g.names[g.r.IntN(len(g.names))]
		op := []string{"=", "!=", "<", "<=", ">", ">="}[g.r.IntN(6)]
		if g.types[n] == Bool {
			op = []string{"=", "!="}[g.r.IntN(2)]
		}
		return n + " " + op + " " + g.literal(g.types[n])
	case k == 9 && g.chance(.3):
		return []string{"y", "n"}[g.r.IntN(2)]
	}
	return g.bool()
}

func (g *generator) literal(typ Type) string {
	switch typ {
	case Bool:
		return []string{"y", "n"}[g.r.IntN(2)]
	case Int:
		return []string{"7", "64", "0", "50"}[g.r.IntN(4)]
	case Hex:
		return []string{"0x10", "0x2a", "0"}[g.r.IntN(3)]
	}
	return []string{`"text"`, `""`, `"7"`}[g.r.IntN(3)]
}

func (g *generator) assignments() string {
	var b strings.Builder
	for _, i := range g.r.Perm(len(g.names)) {
		n := g.names[i]
		switch {
		case g.chance(.4):
		case g.types[n] == Bool && g.chance(.4):
			fmt.Fprintf(&b, "# %s is not set\n", n)
		case g.types[n] == Bool:
			fmt.Fprintf(&b, "%s=%s\n", n, []string{"y", "y", "n", "yes", "m", "x"}[g.r.IntN(6)])
		case g.types[n] == Int:
			fmt.Fprintf(&b, "%s=%s\n", n, []string{"5", "30", "-1", "0030", "x", "0x10", ""}[g.r.IntN(7)])
		case g.types[n] == Hex:
			fmt.Fprintf(&b, "%s=%s\n", n, []string{"0x5", "30", "-1", "0xAB", "zz", "0X1f"}[g.r.IntN(6)])
		default:
			fmt.Fprintf(&b, "%s=%s\n", n, []string{`"x"`, `"a\\b\"c"`, `bare`, `""`, `"open`, `"two" behind`}[g.r.IntN(6)])
		}
	}
	b.WriteString("# a comment\n\nUNKNOWN=y\nrubbish\n  # indented\n")
	return b.String()
}
