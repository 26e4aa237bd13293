package symbol

import (
	"strings"
	"testing"
)

func TestReadable(t *testing.T) {
	for name, want := range map[string]string{
		"main":                   "main",
		"_start":                 "_start",
		"__aeabi_memcpy":         "__aeabi_memcpy",
		"ns::f(int)":             "ns::f(int)",
		"":                       "",
		"_ZN3geo6Square4growEi":  "geo::Square::grow",
		"__ZN3geo6Square4growEi": "geo::Square::grow",
		"_ZNK3geo3BoxIiE4areaEv": "geo::Box<int>::area",
		"_ZN3geoL7measureERKNS_5ShapeENS_3BoxIlEE.constprop.0": "geo::measure",
		"_ZN3alg4foldIZ6scopesEUliiE0_EEiPKiiT_$constprop$0":   "alg::fold<scopes::{lambda(int, int)#2}>",
		"_ZN12_GLOBAL__N_15GuardD2Ev.cold":                     "(anonymous namespace)::Guard::~Guard",
		"_Znwj":                                                "operator new",
		"_ZN3geo6SquareC2Ei":                                   "geo::Square::Square",
		"_ZN4core3fmt5write17h01234567890abcdeE":               "core::fmt::write",
		"_RNvCs1234_7mycrate3foo":                              "mycrate::foo",
		"_RINvNtC3std3mem8align_ofjE":                          "std::mem::align_of::<usize>",
		"_ZN":                                                  "_ZN",
		"_Zzzzz":                                               "_Zzzzz",
		"_R":                                                   "_R",
		"_ZNSt6vectorIN5outer5inner22AVeryLongNameOfSomeClassINS1_10AnotherOneENS1_16YetAnotherOfThemEEESaIS6_EE9push_backEOS5_": "std::vector::push_back",
	} {
		if got := readable(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	huge := "_Z" + strings.Repeat("1f", 1<<20)
	if readable(huge) != huge {
		t.Error("a name of megabytes was demangled")
	}
}

// Substitutions can make a short name stand for one of gigabytes.
func TestReadableIsBounded(t *testing.T) {
	name := "_Z1fI1aE" // then pairs of what was last
	for range 40 {
		name = strings.Replace(name, "1a", "1bI1aS_E", 1)
	}
	grow := "_Z1f"
	for i := range 30 {
		grow += "PFvS" + strings.Repeat("_", min(i, 1)) + "S_S_E"
	}
	for _, s := range []string{name, grow, "_RIC1aB0_B0_E", "_RMC0" + strings.Repeat("T", 2000)} {
		if got := readable(s); len(got) > max(len(s), 1<<(maxDemangled+2)) {
			t.Errorf("%d bytes of %.40s", len(got), s)
		}
	}
}

func FuzzReadable(f *testing.F) {
	for _, s := range []string{"_ZNK3geo3BoxIiE4areaEv", "_ZN4core3fmt5write17h01234567890abcdeE", "_RINvNtC3std3mem8align_ofjE", "_Z1fIJiiEEvDpT_", "_ZZ4mainENKUlvE_clEv"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got := readable(name); len(got) > max(len(name), 1<<(maxDemangled+2)) {
			t.Errorf("%d bytes of %d", len(got), len(name))
		}
	})
}
