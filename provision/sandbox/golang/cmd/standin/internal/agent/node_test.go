package agent

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestANodeThatIsThereGetsTheLabelsOfTheConfiguration(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"stays": "yes", "test": "no"}}}
	reconciler := &nodeReconciler{node: Node{Name: "kyrion", Labels: map[string]string{"test": "yes"}}}
	reconciler.describe(node)
	for key, want := range map[string]string{"stays": "yes", "test": "yes", "node.kubernetes.io/instance-type": "k3s"} {
		if got := node.Labels[key]; got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
}
