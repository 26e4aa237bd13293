package heapwright_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

func checked(t testing.TB, cfg heapwright.Config) (*heapwright.Pool, *[]heap.Finding) {
	t.Helper()
	var found []heap.Finding
	cfg.OnFinding = func(f heap.Finding) { found = append(found, f) }
	cfg.MaxSize = 16 << 20
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, &found
}

func TestNodeSize(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true}, {HeadBackup: true}, {LeakCheck: true, HeadBackup: true}} {
		p, found := checked(t, cfg)
		b, err := p.AllocBytes(1001)
		if err != nil {
			t.Fatal(err)
		}
		free, _ := p.AllocBytes(4000)
		p.AllocBytes(10)
		p.FreeBytes(free)
		start, last := unsafe.Pointer(&b[0]), unsafe.Pointer(&b[1000])
		type want struct {
			total, available int
			err              error
		}
		check := func(level heapwright.CheckLevel, what string, ptr unsafe.Pointer, w want) {
			t.Helper()
			if err := p.SetCheckLevel(level); err != nil || p.CheckLevel() != level {
				t.Fatal(err)
			}
			total, available, err := p.NodeSize(ptr)
			if total != w.total || available != w.available || !errors.Is(err, w.err) {
				t.Errorf("%+v, level %d, %s: %d, %d, %v, want %+v", cfg, level, what, total, available, err, w)
			}
		}
		check(heapwright.CheckOff, "start", start, want{err: heapwright.ErrCheckOff})
		check(heapwright.CheckLow, "start", start, want{1001, 1001, nil})
		check(heapwright.CheckLow, "last byte", last, want{err: heapwright.ErrWildPointer})
		for _, l := range []heapwright.CheckLevel{heapwright.CheckHigh} {
			check(l, "start", start, want{1001, 1001, nil})
			check(l, "last byte", last, want{1001, 1, nil})
			check(l, "byte 17", unsafe.Pointer(&b[17]), want{1001, 984, nil})
			check(l, "padding", unsafe.Add(last, 2), want{1001, -1, nil})
			check(l, "header", unsafe.Add(start, -1), want{err: heapwright.ErrWildPointer})
			check(l, "free node", unsafe.Pointer(&free[100]), want{err: heapwright.ErrWildPointer})
			check(l, "nil", nil, want{err: heapwright.ErrWildPointer})
			check(l, "Go memory", unsafe.Pointer(&cfg), want{err: heapwright.ErrWildPointer})
		}
		if p.SetCheckLevel(9) == nil {
			t.Error("level 9 is accepted")
		}
		if len(*found) > 0 {
			t.Errorf("asking was reported: %v", *found)
		}
	}
}

func TestChecked(t *testing.T) {
	p, found := checked(t, heapwright.Config{LeakCheck: true, HeadBackup: true, SizeCheck: heapwright.CheckHigh})
	b, err := p.AllocBytes(100)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(&b[0]), i) }
	if err := p.SetChecked(at(0), 'x', 100); err != nil {
		t.Fatal(err)
	}
	if err := p.CopyChecked(at(90), []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Repeat([]byte("x"), 90), "0123456789"...)
	if !bytes.Equal(b, want) {
		t.Fatalf("%q", b)
	}
	refused := func(what string, err error) {
		t.Helper()
		var e *heapwright.PastEndError
		if !errors.Is(err, heapwright.ErrPastEnd) || !errors.As(err, &e) || len(*found) != 1 {
			t.Fatalf("%s: %v, %d findings", what, err, len(*found))
		}
		f := (*found)[0]
		if f.Kind != heap.PastEnd || f.Subject == nil || f.Subject.Size != 100 || len(f.Subject.Stack) == 0 || len(f.Stack) == 0 || f.Kind.WildPointer() {
			t.Errorf("%s: %+v", what, f)
		}
		if s := f.Summary(); strings.Contains(s, "restored") || !strings.Contains(s, "nothing was written") {
			t.Errorf("%s: %s", what, s)
		}
		*found = nil
		if !bytes.Equal(b, want) {
			t.Errorf("%s was refused and written: %q", what, b)
		}
	}
	refused("copy", p.CopyChecked(at(91), []byte("0123456789")))
	refused("set", p.SetChecked(at(0), 0, 101))
	refused("padding", p.SetChecked(at(100), 0, 1))
	if err := p.SetChecked(at(0), 0, -1); !errors.Is(err, heapwright.ErrNegativeSize) {
		t.Error(err)
	}
	if err := p.CopyChecked(at(-1), []byte("x")); !errors.Is(err, heapwright.ErrWildPointer) || len(*found) != 1 {
		t.Errorf("wild: %v, %v", err, *found)
	}
	*found = nil
	p.SetCheckLevel(heapwright.CheckOff)
	if err := p.CopyChecked(at(0), nil); err != nil {
		t.Error(err)
	}
	if err := p.SetChecked(at(0), 'y', 100); err != nil || b[99] != 'y' {
		t.Error(err)
	}
}

// Where a header was overwritten the size check notices, repairs, and answers.
func TestNodeSizeDamaged(t *testing.T) {
	p, found := checked(t, heapwright.Config{HeadBackup: true, SizeCheck: heapwright.CheckHigh})
	b, _ := p.AllocBytes(100)
	p.AllocBytes(100)
	clear(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&b[0]), -16)), 16))
	if total, available, err := p.NodeSize(unsafe.Pointer(&b[40])); total != 100 || available != 60 || err != nil {
		t.Errorf("%d, %d, %v", total, available, err)
	}
	if len(*found) != 1 || (*found)[0].Kind != heap.HeaderDamaged {
		t.Errorf("%v", *found)
	}
}

// A copy of a header in a payload, at the place where that header was, is not one.
func TestNodeSizeCopiedHeader(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true}, {HeadBackup: true}, {LeakCheck: true, HeadBackup: true}} {
		cfg.SizeCheck = heapwright.CheckHigh
		p, found := checked(t, cfg)
		var small [][]byte
		for range 100 {
			b, err := p.AllocBytes(100)
			if err != nil {
				t.Fatal(err)
			}
			small = append(small, b)
		}
		header := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&small[20][0]), -32)), 32)
		copied := bytes.Clone(header)
		for _, b := range small {
			p.FreeBytes(b)
		}
		big, err := p.AllocBytes(8000)
		if err != nil {
			t.Fatal(err)
		}
		at := int(uintptr(unsafe.Pointer(&header[0])) - uintptr(unsafe.Pointer(&big[0])))
		copy(big[at:], copied)
		i := at + 40
		if total, available, err := p.NodeSize(unsafe.Pointer(&big[i])); total != 8000 || available != 8000-i || err != nil {
			t.Errorf("%+v: %d, %d, %v", cfg, total, available, err)
		}
		if len(*found) > 0 {
			t.Error(*found)
		}
	}
}

// The addresses of a pool from Open are those of another process.
func TestNodeSizeReadOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pool")
	p, err := heapwright.New(heapwright.Config{File: file, MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := p.AllocBytes(100)
	q, err := heapwright.Open(file, heapwright.Config{SizeCheck: heapwright.CheckHigh})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.NodeSize(unsafe.Pointer(&b[0])); !errors.Is(err, heapwright.ErrReadOnly) {
		t.Error(err)
	}
	q.Close()
	p.Close()
}

// Every address of every payload gives its node, whatever was there before.
func TestNodeSizeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := heapwright.Config{LeakCheck: rapid.Bool().Draw(t, "leak"), HeadBackup: rapid.Bool().Draw(t, "backup"), SizeCheck: heapwright.CheckHigh, MaxSize: 1 << 20}
		p, err := heapwright.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var live [][]byte
		for range rapid.IntRange(1, 60).Draw(t, "operations") {
			if len(live) > 0 && rapid.Bool().Draw(t, "free") {
				i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				p.FreeBytes(live[i])
				live = append(live[:i], live[i+1:]...)
				continue
			}
			b, err := p.AllocBytes(rapid.IntRange(1, 3000).Draw(t, "size"))
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, b)
		}
		for _, b := range live {
			i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			total, available, err := p.NodeSize(unsafe.Pointer(&b[i]))
			if total != len(b) || available != len(b)-i || err != nil {
				t.Fatalf("byte %d of %d: %d, %d, %v", i, len(b), total, available, err)
			}
			p.FreeBytes(b)
		}
	})
}

func BenchmarkCopyChecked(b *testing.B) {
	for _, level := range []heapwright.CheckLevel{heapwright.CheckOff, heapwright.CheckLow, heapwright.CheckHigh} {
		for _, at := range []int{0, 4000} {
			if at > 0 && level == heapwright.CheckLow {
				continue
			}
			b.Run(fmt.Sprintf("level=%d/at=%d", level, at), func(b *testing.B) {
				p, _ := checked(b, heapwright.Config{LeakCheck: true, HeadBackup: true, SizeCheck: level})
				mem, _ := p.AllocBytes(4096)
				src := make([]byte, 16)
				for b.Loop() {
					if err := p.CopyChecked(unsafe.Pointer(&mem[at]), src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
