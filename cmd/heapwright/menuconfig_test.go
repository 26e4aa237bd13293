package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMenuconfigTerminal uses the menu in a real terminal of 80 by 24, in one
// that knows no colour, and in one that knows hardly anything.
func TestMenuconfigTerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("TEST_REQUIRE_TMUX") != "" {
			t.Fatal("tmux is required and not there")
		}
		t.Skip("tmux is not there")
	}
	if testing.Short() {
		t.Skip("builds the command")
	}
	dir := t.TempDir()
	command := filepath.Join(dir, "heapwright")
	if out, err := exec.Command("go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket := filepath.Join(dir, "socket")
	// This session keeps the server alive between the others.
	if out, err := exec.Command("tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "-s", "keep", "sleep 600").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer exec.Command("tmux", "-S", socket, "kill-server").Run()
	for _, env := range []string{"TERM=screen-256color", "TERM=vt100", "TERM=dumb", "NO_COLOR=1", "serial line"} {
		t.Run(env, func(t *testing.T) {
			work := t.TempDir()
			config := filepath.Join(work, "x.config")
			tmux := func(args ...string) string {
				t.Helper()
				out, err := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("tmux %q: %v\n%s", args, err, out)
				}
				return string(out)
			}
			prepare := "env " + env
			if env == "serial line" { // which does not know the size of the terminal at its end
				prepare = "stty rows 0 columns 0; env TERM=vt102"
			}
			tmux("new-session", "-d", "-s", "m", "-c", work, "-x", "80", "-y", "24", prepare+" "+command+" menuconfig --config x.config; sleep 60")
			defer tmux("kill-session", "-t", "m")
			shows := func(texts ...string) {
				t.Helper()
				var screen string
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					screen = tmux("capture-pane", "-p", "-t", "m")
					all := true
					for _, s := range texts {
						all = all && strings.Contains(screen, s)
					}
					if all {
						return
					}
				}
				t.Fatalf("%q is not shown:\n%s", texts, screen)
			}
			// golden compares the whole screen with the one kept under a name.
			golden := func(name string) {
				t.Helper()
				path := filepath.Join("testdata", "menuconfig", name+".golden")
				if *update {
					time.Sleep(time.Second)
					if err := os.WriteFile(path, []byte(tmux("capture-pane", "-p", "-t", "m")), 0o666); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				var diff string
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					if diff = cmp.Diff(string(want), tmux("capture-pane", "-p", "-t", "m")); diff == "" {
						return
					}
				}
				t.Fatalf("%s: -want +got\n%s", name, diff)
			}
			keys := func(keys ...string) { tmux(append([]string{"send-keys", "-t", "m"}, keys...)...) }
			shows("heapwright Configuration", ">     Kernel  --->", "s save  l load")
			golden("main")
			keys("Down", "Enter")
			shows("> Debug", "> [ ] Enable a Debug Version")
			keys("Space", "Down", "Space", "Down", "Space")
			shows("> ", "[*] Enable Function call stack of Mem operation recorded", "(3) Levels of the call stack to record")
			golden("debug")
			keys("?")
			shows("Help")
			golden("help")
			keys("Escape")
			shows("s save  l load")
			keys("/")
			shows("Search")
			keys("record lr", "Enter")
			shows("LOS_RECORD_LR_CNT: More levels")
			keys("Enter")
			shows("(1 to 32)")
			golden("number")
			keys("BSpace", "8", "Enter")
			shows("(8) Levels of the call stack to record")
			keys("q")
			shows("Save the configuration?")
			golden("quit")
			keys("y")
			shows("the configuration is saved")
			b, err := os.ReadFile(config)
			if err != nil || !strings.Contains(string(b), "LOSCFG_MEM_LEAKCHECK=y\nLOS_OMIT_LR_CNT=2\nLOS_RECORD_LR_CNT=8\n") {
				t.Errorf("%v\n%s", err, b)
			}
		})
	}
}
