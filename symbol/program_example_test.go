package symbol_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

func ExampleTable_Struct() {
	t, err := symbol.Open("testdata/elf/thumb-O2-dwarf4.elf")
	if err != nil {
		log.Fatal(err)
	}
	s, ok := t.Struct("item")
	fmt.Println(ok, s.Size)
	for _, f := range s.Fields {
		fmt.Printf("%2d %-6s %d bytes\n", f.Offset, f.Name, f.Size)
	}
	// Output:
	// true 8
	//  0 next   4 bytes
	//  4 value  4 bytes
}

func ExampleTable_Variable() {
	t, err := symbol.ReadNM(strings.NewReader("00008000 00000010 T main\n20000000 00001000 b m_aucSysMem1\n"))
	if err != nil {
		log.Fatal(err)
	}
	pool, ok := t.Variable("m_aucSysMem1")
	fmt.Println(ok, pool.Start, pool.Len())
	for _, s := range t.Data() {
		fmt.Println(s.Name, s.Start, s.Len())
	}
	// Output:
	// true 0x20000000 4096
	// .bss 0x20000000 4096
}

// A core names the files that were mapped, and where. What was loaded elsewhere
// than its file says is shifted.
func ExampleTable_Bias() {
	t, err := symbol.Open("testdata/elf/thumb-O2-dwarf4.elf")
	if err != nil {
		log.Fatal(err)
	}
	bias, err := t.Bias([]heap.Mapping{
		{Start: 0x50000000, Limit: 0x50009000, Offset: 0, File: "/lib/other.so"},
		{Start: 0x60008000, Limit: 0x60009000, Offset: 0xc0, File: "/bin/thumb-O2-dwarf4.elf"},
	})
	fmt.Println(bias, err)
	fmt.Println(t.Frames(0x80e1)[0].Function, t.Shifted(bias).Frames(0x600080e1)[0].Function)
	// Output:
	// 0x60000000 <nil>
	// take take
}

func ExampleTable_VariableAt() {
	t, err := symbol.ReadNM(strings.NewReader("00008000 00000010 T main\n20000000 00001000 b m_aucSysMem1\n"))
	if err != nil {
		log.Fatal(err)
	}
	name, at, ok := t.VariableAt(0x20000010)
	fmt.Println(ok, name, 0x20000010-at.Start)
	// Output:
	// true m_aucSysMem1 0x10
}
