package main

import (
	"regexp"
	"testing"
)

// The help of every verb shows every flag at work.
func TestEveryFlagHasAnExample(t *testing.T) {
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
		}
	}
	if n := len(usage.FindAllString(newLeaks().Flags().FlagUsages(), -1)); n < 10 {
		t.Errorf("only %d flags of leaks found", n)
	}
}
