package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// files writes texts to files and returns their names.
func files(t *testing.T, texts ...string) (names []string) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		name := filepath.Join(dir, fmt.Sprintf("%d.log", i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// Restarts in one log count for the logs behind it.
func TestBootsOfSeveralLogs(t *testing.T) {
	const listing = "node            LR[0]       LR[1]       LR[2]\n0x00056bac:  0x00011ea0  0x00021744  0x000113dc\n\nHuawei LiteOS # \n"
	const restart = "\n******** Hello Huawei LiteOS ********\nLiteOS Kernel Version : 5.0.0\n"
	logs := files(t, listing+restart+listing, listing, listing+restart+listing, listing)
	var in input
	cmd := &cobra.Command{}
	cmd.SetErr(io.Discard)
	cmd.SetContext(t.Context())
	var got []int
	for l, err := range in.listings(cmd, logs...) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l[0].Boot)
	}
	if d := cmp.Diff([]int{0, 1, 1, 1, 2, 2}, got); d != "" || in.restarts != 2 {
		t.Errorf("%s, %d restarts", d, in.restarts)
	}
}

// From where on symbols are doubted.
func TestDoubt(t *testing.T) {
	for _, c := range []struct {
		resolved, total int
		want            bool
	}{{0, 0, false}, {0, 1, true}, {1, 2, false}, {4, 9, true}, {5, 10, false}, {5, 11, true}} {
		if got := strangers(c.resolved, c.total); got != c.want {
			t.Errorf("%d of %d in functions: %v", c.resolved, c.total, got)
		}
	}
	for _, c := range []struct {
		calls, checked int
		want           bool
	}{{0, 0, false}, {0, 1, false}, {0, 2, true}, {1, 2, false}, {1, 3, true}, {2, 4, false}, {0, 5, true}, {3, 5, true}, {4, 5, false}, {79, 100, true}, {80, 100, false}} {
		if got := otherBuild(c.calls, c.checked); got != c.want {
			t.Errorf("%d of %d behind calls: %v", c.calls, c.checked, got)
		}
	}
	in := input{symbols: "x.elf"}
	if s := in.doubt(symbol.None, []heap.Stack{{1, 2}, {3}}); !strings.HasPrefix(s, "none of 3 return addresses lie in functions of x.elf") {
		t.Error(s)
	}
}

// Reports without end are counted, and so many kept.
func TestFindingsAreBounded(t *testing.T) {
	in := input{names: symbol.None}
	e := damage.NewExplainer(in.names)
	for range maxFindings + 3 {
		in.finding(e, &heap.Finding{Kind: heap.DoubleFree})
	}
	if len(in.findings) != maxFindings || in.reports != maxFindings+3 {
		t.Errorf("%d kept of %d", len(in.findings), in.reports)
	}
}

// A reader that has seen enough is no error, whatever it reads from.
func TestBrokenPipe(t *testing.T) {
	root := newRoot()
	var out bytes.Buffer
	root.SetErr(&out)
	if code := finish(root, fmt.Errorf("write heap: %w", syscall.EPIPE)); code != exitClean || out.Len() > 0 {
		t.Errorf("exit code %d, %q", code, out.String())
	}
	if code := finish(root, fmt.Errorf("write heap: %w", syscall.ENOSPC)); code != exitInput || out.Len() == 0 {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}
