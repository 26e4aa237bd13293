package menuconfig

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/kconfig"
)

const menu = `
mainmenu "Test"
menu "Debug"
config VERSION
	bool "Enable a Debug Version"
	help
	  Shows the rest.
config LEAK
	bool "Record call stacks"
	depends on VERSION
	select HELPER
config COUNT
	int "Levels"
	depends on LEAK
	range 1 8
	default 3
config HELPER
	bool "Helper"
endmenu
choice
	prompt "Algorithm"
config FIT
	bool "bestfit"
config LITTLE
	bool "bestfit_little"
endchoice
menuconfig SHELL
	bool "Shell"
config PROMPT
	string "Prompt"
	depends on SHELL
comment "The end"
`

// keys drives a model as its user does.
type user struct {
	*model
	t    *testing.T
	quit bool
	file string // what was saved last
}

func start(t *testing.T, text string) *user {
	t.Helper()
	tree, err := kconfig.Parse(fstest.MapFS{"Kconfig": {Data: []byte(text)}}, "Kconfig")
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t}
	u.model = newModel(Session{
		Tree: tree, File: ".config",
		Save: func(file string) error {
			if file == "bad" {
				return errors.New("cannot write bad")
			}
			var b strings.Builder
			tree.Write(&b, "")
			u.file = b.String()
			return nil
		},
		Load: func(file string) ([]string, error) {
			if file == "bad" {
				return nil, errors.New("there is no file bad")
			}
			_, err := tree.Load(strings.NewReader("VERSION=y\n"), file)
			return []string{"A remark."}, err
		},
	})
	return u
}

func (u *user) keys(keys ...string) {
	u.t.Helper()
	special := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "delete": tea.KeyDelete}
	for _, k := range keys {
		var msg tea.KeyPressMsg
		switch code, ok := special[k]; {
		case ok:
			msg.Code = code
		case k == "space":
			msg.Code, msg.Text = tea.KeySpace, " "
		case strings.HasPrefix(k, "ctrl+"):
			msg.Code, msg.Mod = rune(k[5]), tea.ModCtrl
		default:
			for _, r := range k {
				u.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
			continue
		}
		u.send(msg)
	}
}

func (u *user) send(msg tea.Msg) {
	u.t.Helper()
	_, cmd := u.Update(msg)
	if cmd != nil {
		if _, ok := cmd().(tea.QuitMsg); ok {
			u.quit = true
		}
	}
	u.screen()
}

// screen is what is shown, without attributes. It must fit.
func (u *user) screen() string {
	u.t.Helper()
	s := ansi.Strip(u.View().Content)
	lines := strings.Split(s, "\n")
	if len(lines) > u.height {
		u.t.Fatalf("%d lines on a screen of %d:\n%s", len(lines), u.height, s)
	}
	for _, l := range lines {
		if ansi.StringWidth(l) > u.width {
			u.t.Fatalf("%d columns on a screen of %d: %s", ansi.StringWidth(l), u.width, l)
		}
		for _, r := range l {
			if r >= 0x7f {
				u.t.Fatalf("%q is not ASCII", l)
			}
		}
	}
	return s
}

func (u *user) shows(texts ...string) {
	u.t.Helper()
	s := u.screen()
	for _, w := range texts {
		if !strings.Contains(s, w) {
			u.t.Fatalf("%q is not shown:\n%s", w, s)
		}
	}
}

func (u *user) value(name, want string) {
	u.t.Helper()
	if v := u.Tree.Lookup(name).Value(); v != want {
		u.t.Fatalf("%s is %q, want %q", name, v, want)
	}
}

func TestScreen(t *testing.T) {
	u := start(t, menu)
	want := `Test - .config
> 
--------------------------------------------------------------------------------
>     Debug  --->
      Algorithm (bestfit)  --->
  [ ] Shell
      *** The end ***












--------------------------------------------------------------------------------


arrows move  enter opens  space changes  esc back  ? help  / search
s save  l load  z show hidden  q quit`
	if d := cmp.Diff(want, u.screen()); d != "" {
		t.Error(d)
	}
	u.keys("enter")
	u.shows("> Debug", "> [ ] Enable a Debug Version", "VERSION: Shows the rest.", "[ ] Helper")
	u.keys("space")
	u.shows("(changed)", "> [*] Enable a Debug Version", "[ ] Record call stacks")
	u.keys("down", "y")
	u.shows("> ", "[*] Record call stacks", "(3) Levels", "-*- Helper")
	u.value("HELPER", "y")
}

func TestValues(t *testing.T) {
	u := start(t, menu)
	u.keys("enter", "space", "down", "space", "down", "enter")
	u.shows("Levels (1 to 8)", "> 3")
	u.keys("backspace", "9", "enter")
	u.shows("COUNT=9 is out of its range, 1 to 8")
	u.keys("left", "delete", "8", "enter")
	u.value("COUNT", "8")
	u.keys("enter", "ctrl+u", "5", "esc")
	u.value("COUNT", "8")
	// What another symbol selects stays.
	u.keys("end", "n")
	u.shows("HELPER cannot be n: LEAK selects it")
	// The choice opens at what is chosen, and closes after choosing.
	u.keys("esc", "down", "enter")
	u.shows("> Algorithm", "> (X) bestfit", "( ) bestfit_little")
	u.keys("down", "enter")
	u.shows("Algorithm (bestfit_little)")
	u.value("LITTLE", "y")
	// A menuconfig is entered once it is y.
	u.keys("down", "enter")
	u.value("SHELL", "y")
	u.keys("enter")
	u.shows("> Shell", "()  Prompt")
	u.keys("enter", "a b", "enter")
	u.value("PROMPT", "a b")
}

func TestHidden(t *testing.T) {
	u := start(t, menu)
	u.keys("enter", "z")
	u.shows("    Record call stacks", "    Levels")
	u.keys("down", "space")
	u.shows("LEAK needs VERSION")
	u.keys("?")
	u.shows("Cannot be set: LEAK needs VERSION", "Depends on: VERSION", "There is no help.", "Defined at Kconfig:8")
	u.keys("esc", "z", "up")
	u.shows("> [ ] Enable a Debug Version")
}

func TestSearch(t *testing.T) {
	u := start(t, menu)
	u.keys("/", "lev")
	u.shows("> COUNT (): Levels")
	u.keys("enter")
	u.shows("> Debug", ">         Levels")
	u.keys("/", "zzz")
	u.shows("(nothing)")
	u.keys("enter", "esc", "/", "best", "down", "enter")
	u.shows("> Algorithm", "> ( ) bestfit_little")
}

func TestFiles(t *testing.T) {
	u := start(t, menu)
	u.keys("q")
	if !u.quit {
		t.Fatal("nothing has changed, and q does not quit")
	}
	u = start(t, menu)
	u.keys("enter", "space", "q")
	u.shows("Save the configuration?")
	u.keys("c")
	u.shows("> [*] Enable a Debug Version")
	u.keys("s", "ctrl+u", "bad", "enter")
	u.shows("cannot write bad")
	u.keys("ctrl+u", "other", "enter")
	u.shows("saved to other", "Test - other")
	if !strings.Contains(u.file, "VERSION=y\n") {
		t.Errorf("saved %q", u.file)
	}
	u.keys("q")
	if !u.quit || u.changed {
		t.Error("all is saved, and q does not quit")
	}
	u = start(t, menu)
	u.keys("l", "ctrl+u", "bad", "enter")
	u.shows("there is no file bad")
	u.keys("ctrl+u", "more", "enter")
	u.shows("A remark.")
	u.keys("esc")
	u.shows("Test - more")
	u.value("VERSION", "y")
	u.keys("enter", "space", "ctrl+c", "y")
	if !u.quit || !strings.Contains(u.file, "# VERSION is not set") {
		t.Errorf("saved %q", u.file)
	}
	u = start(t, menu)
	u.keys("enter", "space", "esc", "esc")
	u.shows("esc once more quits")
	u.keys("esc", "n")
	if !u.quit || u.file != "" {
		t.Error("it was not to be saved")
	}
}

// An arrow whose bytes come one by one, as on a slow line, quits nothing.
func TestTornArrow(t *testing.T) {
	u := start(t, menu)
	for range 3 {
		u.keys("esc", "[", "B")
	}
	if u.quit {
		t.Error("the program has ended")
	}
	u.keys("esc", "esc")
	if !u.quit {
		t.Error("esc twice does not quit")
	}
}

// Every screen fits every terminal.
func TestSizes(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {20, 8}, {40, 10}, {200, 60}, {1, 1}, {0, 0}} {
		u := start(t, menu)
		u.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		u.keys("enter", "space", "down", "space", "down", "?", "down", "pgdown", "up", "esc", "enter", "12345678901234567890123456789", "left", "left", "esc", "/", "e", "down", "down", "esc", "end", "home", "pgdown", "pgup", "s", "esc", "q", "c")
	}
}

// Nothing that is typed stops the program.
func FuzzKeys(f *testing.F) {
	f.Add("jj\r y?\x1b/lev\rq")
	f.Add("\r \r  sx\rzz")
	f.Fuzz(func(t *testing.T, typed string) {
		u := start(t, menu)
		for i, r := range typed {
			switch {
			case i > 200:
				return
			case r == '\r':
				u.keys("enter")
			case r == 0x1b:
				u.keys("esc")
			case r == ' ':
				u.keys("space")
			case r > ' ' && r < 0x7f:
				u.keys(string(r))
			}
		}
	})
}
