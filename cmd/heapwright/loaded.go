package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/symbol"
)

// A position-independent program lies in each process, and so in each dump,
// elsewhere. Its variables are looked up where they lay in the dump that is being
// read. Call stacks of all dumps are translated to the addresses in the program's
// file as they are read, so that a call site is one in all of them:
//
//	dump            translated             file
//	0x55d0c0401136  - 0x55d0c0400000       0x1136  lose()
//	0x561f8e2ea136  - 0x561f8e2e9000       0x1136
//	0x7fac6ac679c0                                 in a library: stays as it is

// placed is where the program of --symbols lay in the memory of a dump: bias bytes
// above the addresses in its file.
type placed struct {
	bias  heap.Addr
	known bool
	code  []heap.Span // where its code lay
	// why is why it is not known, if that matters.
	why error
	// other says why the file is not that of the program; nil: nothing speaks
	// against it.
	other error
}

// place finds out where the program lay, which the files that were mapped tell,
// or else the pools do.
func (in *input) place(mappings []heap.Mapping, pools []layout.Pool) (p placed) {
	t := in.table
	if t == nil || !t.ELF() {
		return p
	}
	if len(mappings) > 0 {
		bias, err := t.Bias(mappings)
		switch {
		case err == nil:
			return placed{bias: bias, known: true, code: codeAt(t, bias)}
		case !errors.Is(err, symbol.ErrNotMapped) || t.Movable():
			p.why = err
		}
	}
	if !t.Movable() {
		p.other = in.elsewhere(pools)
		return p
	}
	for _, pool := range pools {
		a := pool.About()
		if a.Symbol == "" {
			continue
		}
		addr, err := valueOf(in.symbols, a.Symbol)
		switch bias := a.SymbolAddr - addr; {
		case err != nil:
			p.why = err
		case bias%elfPage != 0:
			p.why = fmt.Errorf("%s lies at %s there, which the process had at %s", a.Symbol, addr, a.SymbolAddr)
		default:
			return placed{bias: bias, known: true, code: codeAt(t, bias)}
		}
	}
	return p
}

// elsewhere says of a program that cannot be moved which function the process had
// elsewhere.
func (in *input) elsewhere(pools []layout.Pool) error {
	for _, pool := range pools {
		a := pool.About()
		if a.Symbol == "" {
			continue
		}
		if addr, err := valueOf(in.symbols, a.Symbol); err == nil && addr != a.SymbolAddr {
			return fmt.Errorf("%s lies at %s in it, which the process had at %s", a.Symbol, addr, a.SymbolAddr)
		}
	}
	return nil
}

// codeAt returns where the code of a program lies that is loaded there.
func codeAt(t *symbol.Table, bias heap.Addr) (all []heap.Span) {
	for _, m := range t.Shifted(bias).Mappings() {
		all = append(all, heap.Span{Start: m.Start, End: m.Limit})
	}
	return all
}

// move puts the program where it lay in a dump.
func (in *input) move(bias heap.Addr) {
	if in.table != nil {
		in.loaded = in.table.Shifted(bias)
		in.program = in.loaded
	}
}

// tableOf returns the file that sym is from, nil if it is from none.
func tableOf(sym heap.Symbolizer) *symbol.Table {
	t, _ := sym.(*symbol.Table)
	return t
}

// elfPage is the smallest page, a multiple of which a program is moved by.
const elfPage = 4096

// valueOf returns the address of a function in an ELF file.
func valueOf(path, name string) (heap.Addr, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	all, err := f.Symbols()
	if i := slices.IndexFunc(all, func(s elf.Symbol) bool { return s.Name == name }); i >= 0 {
		return heap.Addr(all[i].Value), nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w, of which %s is needed", err, name)
	}
	return 0, fmt.Errorf("it has no function %s", name)
}

// translate appends the addresses of a call stack as they are in the file.
func (p *placed) translate(to, stack heap.Stack) heap.Stack {
	for _, lr := range stack {
		for _, s := range p.code {
			if lr > s.Start && lr <= s.End { // it lies behind a call
				lr -= p.bias
				break
			}
		}
		to = append(to, lr)
	}
	return to
}

// stack returns a translated copy.
func (p *placed) stack(s heap.Stack) heap.Stack { return p.translate(nil, s) }

// node returns the node with its stack translated.
func (p *placed) node(n *heap.Node) *heap.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Stack = p.stack(n.Stack)
	return &c
}

// visitor returns what visits nodes with their stacks translated.
func (p *placed) visitor(visit func(*heap.Node) bool) func(*heap.Node) bool {
	if p.bias == 0 {
		return visit
	}
	var c heap.Node
	var room heap.Stack
	return func(n *heap.Node) bool {
		room = p.translate(room[:0], n.Stack)
		c = *n
		c.Stack = room
		return visit(&c)
	}
}

// reporter returns what reports findings with their stacks translated.
func (p *placed) reporter(report func(*heap.Finding)) func(*heap.Finding) {
	if p.bias == 0 {
		return report
	}
	return func(f *heap.Finding) {
		c := *f
		c.Stack, c.FirstFree = p.stack(f.Stack), p.stack(f.FirstFree)
		c.Subject, c.Previous, c.Culprit = p.node(f.Subject), p.node(f.Previous), p.node(f.Culprit)
		report(&c)
	}
}

// variable names the variable of the program that an address lies in, with the
// offset in it; "" if none is known.
func (in *input) variable(a heap.Addr) string {
	if in.loaded == nil {
		return ""
	}
	name, at, ok := in.loaded.VariableAt(a)
	if !ok {
		return ""
	}
	if a > at.Start {
		name += fmt.Sprintf("+%d", a-at.Start)
	}
	return name
}
