package console

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// A format prints nodes as one version of a system does, to be read back.
type format struct {
	name    string
	dialect *dialect
	// keep leaves in a node what the format shows of it.
	keep   func(n heap.Node) heap.Node
	header func(nodes []heap.Node) string
	row    func(n heap.Node) string // with its line ends
	footer func(nodes []heap.Node) string
	// counted says that the device prints how many rows there are.
	counted bool
	// chained says that a row shows where the one before ends, so the last
	// one read can lack its length.
	chained bool
}

var formats = slices.Concat(liteosAFormats, liteosMFormats, nuttxFormats, espidfFormats, rtthreadFormats, zephyrFormats)

func (f *format) print(nodes []heap.Node) string {
	var b strings.Builder
	b.WriteString(f.header(nodes))
	for _, n := range nodes {
		b.WriteString(f.row(n))
	}
	b.WriteString(f.footer(nodes))
	return b.String()
}

// some returns n nodes as the format shows them.
func (f *format) some(n int) []heap.Node {
	var nodes []heap.Node
	addr := heap.Addr(0x20001000)
	for i := range n {
		node := f.keep(heap.Node{
			Addr: addr, Size: uint64(20 + i*36), Total: uint64(48 + i*40), Owner: heap.Owner(3 + i%4), Birth: uint64(1000 + i), Serial: uint64(40 + i*4),
			Stack: heap.Stack{0x400d2010 + heap.Addr(i%5)*4, 0x400d3000, 0x400d4001}[:1+i%3],
		})
		nodes = append(nodes, node)
		addr += heap.Addr(node.Total + 48)
	}
	return f.chain(nodes)
}

// chain lets nodes of a chained format follow each other without gaps.
func (f *format) chain(nodes []heap.Node) []heap.Node {
	for i := range nodes {
		if f.chained && i > 0 {
			nodes[i].Addr = nodes[i-1].Addr + heap.Addr(nodes[i-1].Total)
		}
	}
	return nodes
}

// equal compares nodes with what was read.
func equal(want, got []heap.Node) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

func TestFormats(t *testing.T) {
	const other = "gt: tick 10744 leak1 19/760B\n"
	each := func(s, prefix, suffix string) string {
		lines := strings.SplitAfter(s, "\n")
		for i, l := range lines {
			if l != "" {
				lines[i] = prefix + l + suffix
			}
		}
		return strings.Join(lines, "")
	}
	for _, f := range formats {
		nodes := f.some(7)
		log := f.print(nodes)
		for _, c := range []struct{ name, log string }{
			{"clean", log},
			{"CRLF", strings.ReplaceAll(log, "\n", "\r\n")},
			{"CR CR LF", strings.ReplaceAll(log, "\n", "\r\r\n")},
			{"prefixes", each(log, "[  12.3] [INFO] ", "")},
			{"prefixes with numbers", each(log, "[ 5286.767232] [ 9] [  INFO] [ap] ", "")},
			{"escapes", each(log, "\x1b[0;32m", "\x1b[0m")},
			{"other lines", each(log, "", other)},
			{"blank lines", each(log, "", "\n")},
			{"in front and behind", strings.Repeat(other, 3) + log + strings.Repeat(other, 3)},
		} {
			t.Run(f.name+"/"+c.name, func(t *testing.T) {
				r, snaps, err := read(t, c.log)
				if err != nil || len(snaps) != 1 {
					t.Fatalf("%d snapshots, error %v", len(snaps), err)
				}
				if d := equal(nodes, snaps[0].Nodes); d != "" || snaps[0].Partial != "" {
					t.Errorf("partial %q, nodes: %s\n%s", snaps[0].Partial, d, c.log)
				}
				if notes := r.Notes(); len(notes) > 0 {
					t.Errorf("notes %q", notes)
				}
			})
		}
	}
}

func TestFormatsRoundTrip(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				addr := heap.Addr(rapid.Uint32Range(0x1000, 0x3fff0000).Draw(t, "addr")) &^ 7
				var nodes []heap.Node
				for range rapid.IntRange(0, 30).Draw(t, "n") {
					n := f.keep(heap.Node{
						Addr:  addr,
						Size:  rapid.Uint64Range(1, 1<<22).Draw(t, "size"),
						Total: rapid.Uint64Range(40, 1<<20).Draw(t, "total"),
						Owner: heap.Owner(rapid.Uint32Range(1, 99999).Draw(t, "owner")),
						Birth: rapid.Uint64Range(1, 1<<32-1).Draw(t, "birth"), Serial: rapid.Uint64Range(4, 1<<32-1).Draw(t, "serial"),
						Stack: rapid.SliceOfN(rapid.Map(rapid.Uint32Range(0x40000000, 0x4fffffff), func(a uint32) heap.Addr { return heap.Addr(a) }), 0, 3).Draw(t, "stack"),
					})
					nodes = append(nodes, n)
					addr += heap.Addr(n.Total) + heap.Addr(rapid.Uint32Range(32, 4096).Draw(t, "gap"))&^7
				}
				log := f.print(f.chain(nodes))
				var snaps []*heap.Snapshot
				for s, err := range NewReader(strings.NewReader(log), "x.log").Snapshots() {
					if err != nil {
						t.Fatal(err)
					}
					snaps = append(snaps, s)
				}
				if len(snaps) != 1 || snaps[0].Partial != "" {
					t.Fatalf("%d snapshots, first %+v\n%s", len(snaps), snaps[0], log)
				}
				if d := equal(nodes, snaps[0].Nodes); d != "" {
					t.Fatalf("%s\n%s", d, log)
				}
			})
		})
	}
}

// A listing that is cut anywhere must hold what was before, and say so.
func TestFormatsCut(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			nodes := f.some(4)
			log := f.print(nodes)
			for n := len(f.header(nodes)); n < len(log); n++ {
				_, snaps, err := read(t, log[:n])
				if err != nil || len(snaps) != 1 {
					t.Fatalf("cut at %d: %d snapshots, error %v", n, len(snaps), err)
				}
				got := slices.Clone(snaps[0].Nodes)
				if len(got) > len(nodes) {
					t.Fatalf("cut at %d: %d nodes of %d", n, len(got), len(nodes))
				}
				if want := fmt.Sprintf("cut after %d node", len(got)); len(got) < len(nodes) && !strings.HasPrefix(snaps[0].Partial, want) {
					t.Fatalf("cut at %d after %d of %d nodes, partial %q", n, len(got), len(nodes), snaps[0].Partial)
				}
				if k := len(got) - 1; k >= 0 {
					if f.chained && got[k].Total == 0 {
						got[k].Total = nodes[k].Total
					}
				}
				if d := equal(nodes[:len(got)], got); d != "" {
					t.Fatalf("cut at %d: %s\n%s", n, d, log[:n])
				}
			}
		})
	}
}

func TestFormatsInOneLog(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			nodes := f.some(5)
			log := f.print(nodes)
			middle := len(f.header(nodes)) + len(f.row(nodes[0])) + len(f.row(nodes[1]))
			bare := log
			if f.dialect != &nuttx { // a title does not end the listing in front, a blank line or a prompt does
				lines := strings.SplitAfter(strings.TrimSuffix(f.header(nodes), "\n"), "\n")
				bare = lines[len(lines)-1] + "\n" + log[len(f.header(nodes)):]
			}
			_, snaps, err := read(t, log+"other output\n"+log[:middle]+bare+log[:middle]+f.dialect.boot[0]+"\n"+log)
			if err != nil || len(snaps) != 5 {
				t.Fatalf("%d snapshots, error %v", len(snaps), err)
			}
			for i, want := range []string{"", "cut after 2 nodes: another listing begins", "", "cut after 2 nodes: the device restarted", ""} {
				s := snaps[i]
				if s.Label != fmt.Sprintf("listing %d", i+1) || !strings.HasPrefix(s.Partial, want) || want == "" && s.Partial != "" {
					t.Errorf("%s, partial %q, want %q", s.Label, s.Partial, want)
				}
				if want == "" {
					if d := equal(nodes, s.Nodes); d != "" {
						t.Errorf("%s: %s", s.Label, d)
					}
				}
			}
			if snaps[3].Boot != snaps[0].Boot || snaps[4].Boot != snaps[3].Boot+1 {
				t.Errorf("boots %d, %d, %d", snaps[0].Boot, snaps[3].Boot, snaps[4].Boot)
			}
		})
	}
}

// Where the device says how many rows there are, none goes missing silently.
func TestFormatsLostBytes(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			nodes := f.some(6)
			log := f.print(nodes)
			first, last := len(f.header(nodes)), len(log)-len(f.footer(nodes))
			rapid.Check(t, func(rt *rapid.T) {
				at := rapid.IntRange(first, last-1).Draw(rt, "at")
				lost := rapid.IntRange(1, min(60, last-at)).Draw(rt, "lost")
				r, snaps, err := read(t, log[:at]+log[at+lost:])
				if err != nil || len(snaps) == 0 {
					rt.Fatalf("%d snapshots, error %v", len(snaps), err)
				}
				if f.counted && len(snaps[0].Nodes) < len(nodes) && snaps[0].Partial == "" {
					rt.Fatalf("%d of %d nodes silently, notes %q\n%s", len(snaps[0].Nodes), len(nodes), r.Notes(), log[:at]+log[at+lost:])
				}
			})
		})
	}
}

// A log of each system, from the boot on: a leak among a cache, churn and
// what was allocated at boot.
func TestDeviceLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/devices/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatal("no logs", err)
	}
	for _, name := range logs {
		log := testdata(t, strings.TrimPrefix(name, "testdata/"))
		r, snaps, err := readFrom(t, bytes.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		b.WriteString(renderWhole(t, snaps))
		for _, f := range findings(t, bytes.NewReader(log)) {
			fmt.Fprintf(&b, "%s: %s\n%v\n", f.Source, f.Summary(), f.Stack)
		}
		for _, n := range r.Notes() {
			fmt.Fprintln(&b, n)
		}
		golden := strings.TrimSuffix(name, "log") + "txt"
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// No header may be taken for that of another dialect. That of LiteOS-A is the
// one of LiteOS; the prompt in front makes the difference.
func TestHeadersAreUnambiguous(t *testing.T) {
	for _, f := range formats {
		for _, line := range strings.Split(strings.TrimSuffix(f.header(f.some(3)), "\n"), "\n") {
			for _, d := range dialects {
				l := &listing{d: d, title: []byte("Dump all used memory node info")}
				want := d == f.dialect || f.dialect == &liteosA && d == &liteos
				if d.header([]byte(line), l) && !want {
					t.Errorf("%s: %q is a header of %s", f.name, line, d.name)
				}
			}
		}
		_, snaps, _ := read(t, f.print(f.some(3)))
		if len(snaps) != 1 {
			t.Errorf("%s: %d listings", f.name, len(snaps))
		}
	}
}

// fuzzLog runs a fuzz target whose inputs are logs, with listings of formats
// and other logs as seeds. Whatever a log holds: no panic, ascending nodes,
// bounded stacks, no error besides "no listing", and the same answer however
// the text arrives.
func fuzzLog(f *testing.F, formats []format, logs ...string) {
	for _, x := range formats {
		log := x.print(x.some(4))
		f.Add([]byte(log))
		f.Add([]byte(log[:len(log)*2/3] + log))
	}
	for _, log := range logs {
		f.Add([]byte(log))
	}
	f.Fuzz(func(t *testing.T, log []byte) { checkLog(t, log) })
}

func checkLog(t *testing.T, log []byte) {
	r, all, err := readFrom(t, bytes.NewReader(log))
	if (err != nil) != (len(all) == 0) {
		t.Fatalf("%d snapshots and error %v", len(all), err)
	}
	for _, s := range all {
		for _, n := range s.Nodes {
			if len(n.Stack) > maxLevels || len(n.Stack) > 0 && n.Stack[len(n.Stack)-1] == 0 {
				t.Fatalf("stack %v", n.Stack)
			}
		}
	}
	if st := r.Stats(); st.Snapshots != len(all) || st.Bytes > int64(len(log)) {
		t.Fatalf("%d snapshots in %d bytes, counted %+v", len(all), len(log), st)
	}
	r.Notes()
	_, slow, _ := readFrom(t, iotest.OneByteReader(bytes.NewReader(log)))
	if a, b := renderWhole(t, all), renderWhole(t, slow); a != b {
		t.Fatalf("at once:\n%s\nbyte by byte:\n%s", a, b)
	}
	for f, err := range NewReader(bytes.NewReader(log), "x.log").Findings() {
		if err == nil && f.Summary() == "" {
			t.Fatalf("%+v", f)
		}
	}
}

// renderWhole shows all there is to snapshots.
func renderWhole(t testing.TB, snaps []*heap.Snapshot) string {
	t.Helper()
	var b strings.Builder
	for _, s := range snaps {
		fmt.Fprintf(&b, "%s %s pool=%q boot=%d hz=%d partial=%q\n", s.Label, s.Source, s.Pool, s.Boot, s.TickHz, s.Partial)
		for _, n := range s.Nodes {
			fmt.Fprintf(&b, "%v payload=%v size=%d total=%d owner=%q birth=%d serial=%d %v\n",
				n.Addr, n.Payload, n.Size, n.Total, s.OwnerName(n.Owner), n.Birth, n.Serial, n.Stack)
		}
	}
	return b.String()
}

func benchmarkFormat(b *testing.B, f format) {
	log := strings.Repeat(f.print(f.some(2000)), 50)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		for s, err := range NewReader(strings.NewReader(log), "x.log").Snapshots() {
			if err != nil || s.Partial != "" || len(s.Nodes) != 2000 {
				b.Fatal(len(s.Nodes), s.Partial, err)
			}
		}
	}
}

// findings returns what a log says is wrong.
func findings(t *testing.T, log io.Reader) []*heap.Finding {
	t.Helper()
	var all []*heap.Finding
	for f, err := range NewReader(log, "x.log").Findings() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}
