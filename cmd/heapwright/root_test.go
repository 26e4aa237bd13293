package main

import (
	"regexp"
	"testing"

	"github.com/spf13/pflag"
)

// The help of every verb shows every flag at work.
func TestEveryFlagHasAnExample(t *testing.T) {
	for _, verb := range verbs() {
		if verb.Example == "" {
			t.Errorf("%s has no example", verb.Name())
		}
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			names := "--" + f.Name
			if f.Shorthand != "" {
				names += "|-" + f.Shorthand
			}
			if !regexp.MustCompile(`(^|\s)(` + names + `)(\s|=|$)`).MatchString(verb.Example) {
				t.Errorf("%s %s has no example", verb.Name(), names)
			}
		})
	}
}
