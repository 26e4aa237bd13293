package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// The help of every verb shows every flag at work, and a script runs the verb
// with it.
func TestEveryFlagHasAnExample(t *testing.T) {
	scripts := scriptLines(t)
	usage := regexp.MustCompile(`(?m)^ +(?:-(\w), |    )--([\w-]+)`)
	for _, verb := range verbs() {
		if verb.Example == "" {
			t.Errorf("%s has no example", verb.Name())
		}
		for _, flag := range usage.FindAllStringSubmatch(verb.Flags().FlagUsages(), -1) {
			names := "--" + flag[2]
			if flag[1] != "" {
				names += "|-" + flag[1]
			}
			if !regexp.MustCompile(`(^|\s)(` + names + `)(\s|=|$)`).MatchString(verb.Example) {
				t.Errorf("%s %s has no example", verb.Name(), names)
			}
			if !regexp.MustCompile(`(?m)\bheapwright ` + verb.Name() + ` ([^|\n]* )?(` + names + `)([ =]|$)`).MatchString(scripts) {
				t.Errorf("%s %s is in no script", verb.Name(), names)
			}
		}
	}
	if n := len(usage.FindAllString(newLeaks().Flags().FlagUsages(), -1)); n < 10 {
		t.Errorf("only %d flags of leaks found", n)
	}
}

// scriptLines returns the lines that scripts run and that do not fail for wrong
// usage.
func scriptLines(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var lines strings.Builder
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(a.Comment)) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "code 2 ") {
				lines.WriteString(line)
			}
		}
	}
	return lines.String()
}
