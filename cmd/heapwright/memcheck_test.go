package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A device in a loop prints more reports than anybody reads: the first are
// kept, and how many more there were is said.
func TestDamageInALoop(t *testing.T) {
	var log strings.Builder
	for i := range maxFindings + 5 {
		fmt.Fprintf(&log, "[ERR]input ptr %#x is belong to a free mem node\n", 4*i+4)
	}
	root := newRoot()
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(log.String()))
	root.SetArgs([]string{"damage", "-", "--format", "json"})
	code := finish(root, root.ExecuteContext(context.Background()))
	if n := strings.Count(out.String(), `"kind":"inside-free-node"`); code != exitCorruption || n != maxFindings {
		t.Errorf("exit code %d, %d findings", code, n)
	}
	if !strings.Contains(out.String(), "5 reports behind the first 10000 left out") {
		t.Error("does not say what it left out")
	}
}
