package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
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

// runOn runs the command with standard input, and returns its exit code and what
// it wrote.
func runOn(in []byte, args ...string) (code int, out string) {
	root := newRoot()
	var b strings.Builder
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetIn(bytes.NewReader(in))
	root.SetArgs(args)
	return finish(root, root.ExecuteContext(context.Background())), b.String()
}

// Two pools, of which one is damaged: totals are sums, and what is said names
// the pool.
func TestMemcheckOfPools(t *testing.T) {
	l := layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64, MulPool: true}
	const base heap.Addr = 0x80000000
	first := liteosPool(t, l, base)
	ram := append(first[:len(first):len(first)], noise(4096)...)
	second := base + heap.Addr(len(ram))
	ram = append(ram, liteosPool(t, l, second)...)
	node := len(first) + 4096 + l.Offsets().FirstNode
	copy(ram[node+l.Offsets().Head+16:], bytes.Repeat([]byte{'x'}, 40)) // past the end of the first payload
	code, out := runOn(ram, "memcheck", "-", "--format", "json")
	var got struct {
		Pool  string
		Nodes struct{ Used, Free int }
		Pools []struct {
			Pool  string
			Nodes struct{ Used, Free int }
		}
		Findings []struct{ Pool, Node, Culprit string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitCorruption || got.Pool != "0x80000000" || len(got.Pools) != 2 || len(got.Findings) != 1 {
		t.Fatalf("exit code %d, %+v", code, got)
	}
	if f := got.Findings[0]; f.Pool != second.String() || f.Culprit != (base+heap.Addr(node)).String() {
		t.Errorf("%+v", f)
	}
	if n := got.Nodes; n != (struct{ Used, Free int }{64, 16}) || got.Pools[0].Nodes != got.Pools[1].Nodes {
		t.Errorf("%+v", got)
	}
	code, out = runOn(ram, "memused", "-", "--format", "json")
	if n := strings.Count(out, fmt.Sprintf(`,"pool":"%s"}`, second)); code != exitCorruption || n != 32 {
		t.Errorf("exit code %d, %d nodes of the second pool", code, n)
	}
}

// Whatever memory holds, verbs end with an exit code that means something, and
// JSON is JSON.
func FuzzDump(f *testing.F) {
	pool := liteosPool(f, layout.LiteOS{HeadBackup: true}, 0x1000)
	f.Add(pool[:1000])
	f.Add(append([]byte{0xff, 0xff, 0xff, 0xff}, pool[4:]...))
	f.Add([]byte(":1001000000000000000000000000000000000000EF\n:00000001FF\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, verb := range []string{"memcheck", "memused", "leaks", "map", "explain"} {
			args := []string{verb, "-", "--format", "json", "--layout", "liteos"}
			if verb == "explain" {
				args = append(args, "0x1200")
			}
			code, out := runOn(b, args...)
			if code == exitLeak && verb != "leaks" || code > exitInconclusive {
				t.Errorf("%s: exit code %d", verb, code)
			}
			if code == exitInput {
				continue
			}
			var document map[string]any // messages stand around it
			if i := strings.Index(out, "{"); i < 0 || json.NewDecoder(strings.NewReader(out[i:])).Decode(&document) != nil {
				t.Errorf("%s: %q", verb, out)
			}
		}
	})
}
