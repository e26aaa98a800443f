package agent

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = metav1.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func condition(status corev1.PodStatus, kind corev1.PodConditionType) corev1.ConditionStatus {
	for _, one := range status.Conditions {
		if one.Type == kind {
			return one.Status
		}
	}
	return "absent"
}

func TestAPodWithoutAProcessIsSaidToRun(t *testing.T) {
	status, again := podStatus(pod(nil), "10.0.0.2", "10.42.0.9", nil, noon)
	if status.Phase != corev1.PodRunning || condition(status, corev1.PodReady) != "True" || again != 0 {
		t.Errorf("%+v", status)
	}
	if status.PodIP != "10.42.0.9" || status.HostIP != "10.0.0.2" {
		t.Errorf("addresses %s %s", status.PodIP, status.HostIP)
	}
}

func TestAStatusThatIsCurrentStaysTheSame(t *testing.T) {
	subject := pod(nil)
	subject.Status, _ = podStatus(subject, "10.0.0.2", "10.42.0.9", nil, noon)
	later, _ := podStatus(subject, "10.0.0.2", "10.42.0.9", nil, metav1.NewTime(noon.Add(time.Hour)))
	if !equality.Semantic.DeepEqual(later, subject.Status) {
		t.Error("changed by time alone")
	}
}

func TestAPodWhoseProcessDiedIsNotReady(t *testing.T) {
	dead := map[string]state{"main": {since: noon.Time, restarts: 3, lastCode: 1, last: "exit status 1"}}
	status, _ := podStatus(pod(nil), "10.0.0.2", "10.0.0.2", dead, noon)
	if condition(status, corev1.PodReady) != "False" {
		t.Error("ready")
	}
	container := status.ContainerStatuses[0]
	if container.State.Waiting == nil || container.State.Waiting.Reason != "CrashLoopBackOff" || container.RestartCount != 3 {
		t.Errorf("%+v", container)
	}
}

func TestAPodOfAJobRunsThenSucceeds(t *testing.T) {
	yes := true
	subject := pod(nil)
	subject.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Controller: &yes}}
	first, again := podStatus(subject, "10.0.0.2", "10.42.0.9", nil, noon)
	if first.Phase != corev1.PodRunning || again != jobTime {
		t.Fatalf("%s, again in %s", first.Phase, again)
	}
	subject.Status = first
	second, _ := podStatus(subject, "10.0.0.2", "10.42.0.9", nil, metav1.NewTime(noon.Add(jobTime)))
	if second.Phase != corev1.PodSucceeded || second.ContainerStatuses[0].State.Terminated == nil {
		t.Errorf("%+v", second)
	}
}

func TestAnImageOfARegistryThatDoesNotExistIsNotPulled(t *testing.T) {
	subject := pod(nil)
	subject.Spec.Containers[0].Image = "registry.invalid:5000/coredns:1"
	status, _ := podStatus(subject, "10.0.0.2", "10.42.0.9", nil, noon)
	if status.Phase != corev1.PodPending || condition(status, corev1.PodReady) != "False" {
		t.Errorf("%+v", status)
	}
	waiting := status.ContainerStatuses[0].State.Waiting
	if waiting == nil || waiting.Reason != "ImagePullBackOff" {
		t.Errorf("%+v", status.ContainerStatuses)
	}
}
