package footprint

import (
	"strings"
	"testing"
)

func TestEveryRuleLeadsToAChainThatThereIs(t *testing.T) {
	for _, family := range families {
		for _, table := range family.tables() {
			for _, rule := range append(table.rules, table.jumps...) {
				_, target, _ := strings.Cut(rule, " -j ")
				name, _, _ := strings.Cut(target, " ")
				known := strings.Contains("ACCEPT DROP RETURN MARK MASQUERADE DNAT", name)
				for _, chain := range table.chains {
					known = known || chain == name
				}
				if !known {
					t.Errorf("%s: no chain %s", rule, name)
				}
			}
		}
	}
}

func TestAJumpIsAddedOnce(t *testing.T) {
	table := families[0].filter()
	first := table.script("")
	second := table.script(first)
	for _, jump := range table.jumps {
		if !strings.Contains(first, "\n"+jump+"\n") || strings.Contains(second, "\n"+jump+"\n") {
			t.Errorf("%s is to be added by the first call and not by the second", jump)
		}
	}
}
