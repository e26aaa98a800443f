package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// state is how the process of a container is.
type state struct {
	running  bool
	since    time.Time // started, or ended when it is not running
	restarts int32
	// last is how the latest run ended: exit code and words.
	lastCode int32
	last     string
}

// jobTime is how long the pod of a Job is Running before it has succeeded.
const jobTime = time.Second

// podStatus is what a kubelet would report of a pod. states has the containers
// that run as processes; the others are said to run. The duration says when to
// look again; zero means only when something changes.
func podStatus(
	pod *corev1.Pod, hostIP, podIP string, states map[string]state, now metav1.Time,
) (corev1.PodStatus, time.Duration) {
	status := *pod.Status.DeepCopy()
	if status.StartTime == nil {
		status.StartTime = &now
	}
	status.HostIP, status.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	status.PodIP, status.PodIPs = podIP, []corev1.PodIP{{IP: podIP}}
	status.InitContainerStatuses = initStatuses(pod, *status.StartTime)

	left := jobTime - now.Sub(status.StartTime.Time)
	if ofJob(pod) && left <= 0 {
		status.Phase = corev1.PodSucceeded
		status.ContainerStatuses = nil
		for _, container := range pod.Spec.Containers {
			one := completed(container, *status.StartTime, now)
			status.ContainerStatuses = append(status.ContainerStatuses, one)
		}
		conditions(&status, corev1.ConditionFalse, "PodCompleted", now)
		return status, 0
	}
	status.Phase = corev1.PodRunning
	if slices.ContainsFunc(pod.Spec.Containers, unreachable) {
		status.Phase = corev1.PodPending
	}
	ready := corev1.ConditionTrue
	reason := ""
	status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		one := containerStatus(container, states, *status.StartTime)
		if !one.Ready {
			ready, reason = corev1.ConditionFalse, "ContainersNotReady"
		}
		status.ContainerStatuses = append(status.ContainerStatuses, one)
	}
	conditions(&status, ready, reason, now)
	if ofJob(pod) {
		return status, left
	}
	return status, 0
}

func containerStatus(container corev1.Container, states map[string]state, started metav1.Time) corev1.ContainerStatus {
	result := base(container)
	if unreachable(container) {
		result.ImageID, result.ContainerID = "", ""
		result.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "ImagePullBackOff",
			Message: fmt.Sprintf("Back-off pulling image %q", container.Image),
		}
		return result
	}
	process, isProcess := states[container.Name]
	if isProcess {
		result.RestartCount = process.restarts
		started = metav1.NewTime(process.since.Truncate(time.Second))
	}
	if isProcess && process.last != "" {
		result.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: process.lastCode, Reason: "Error", Message: process.last,
		}
	}
	if isProcess && !process.running {
		result.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: process.last}
		return result
	}
	yes := true
	result.Ready, result.Started = true, &yes
	result.State.Running = &corev1.ContainerStateRunning{StartedAt: started}
	return result
}

// unreachable says whether an image cannot be pulled: no name below .invalid
// resolves (RFC 2606).
func unreachable(container corev1.Container) bool {
	registry, _, found := strings.Cut(container.Image, "/")
	host, _, _ := strings.Cut(registry, ":")
	return found && strings.HasSuffix(host, ".invalid")
}

// initStatuses says that init containers have done their work; those that are
// sidecars run.
func initStatuses(pod *corev1.Pod, started metav1.Time) []corev1.ContainerStatus {
	var result []corev1.ContainerStatus
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			result = append(result, containerStatus(container, nil, started))
			continue
		}
		result = append(result, completed(container, started, started))
	}
	return result
}

func completed(container corev1.Container, from, to metav1.Time) corev1.ContainerStatus {
	result := base(container)
	result.Ready = true
	result.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: from, FinishedAt: to}
	return result
}

func base(container corev1.Container) corev1.ContainerStatus {
	no := false
	return corev1.ContainerStatus{
		Name:        container.Name,
		Image:       container.Image,
		ImageID:     container.Image,
		ContainerID: "elysium-sandbox://" + container.Name,
		Started:     &no,
	}
}

func conditions(status *corev1.PodStatus, ready corev1.ConditionStatus, reason string, now metav1.Time) {
	initialized := ""
	if reason == "PodCompleted" {
		initialized = reason
	}
	setCondition(&status.Conditions, corev1.PodReadyToStartContainers, corev1.ConditionTrue, "", "", now)
	setCondition(&status.Conditions, corev1.PodInitialized, corev1.ConditionTrue, initialized, "", now)
	setCondition(&status.Conditions, corev1.PodReady, ready, reason, "", now)
	setCondition(&status.Conditions, corev1.ContainersReady, ready, reason, "", now)
	setCondition(&status.Conditions, corev1.PodScheduled, corev1.ConditionTrue, "", "", now)
}

// setCondition sets a pod condition and says whether that changed anything.
func setCondition(
	list *[]corev1.PodCondition, kind corev1.PodConditionType, value corev1.ConditionStatus,
	reason, message string, now metav1.Time,
) bool {
	wanted := corev1.PodCondition{
		Type: kind, Status: value, Reason: reason, Message: message, LastTransitionTime: now,
	}
	for i := range *list {
		have := &(*list)[i]
		if have.Type != kind {
			continue
		}
		if have.Status == value && have.Reason == reason && have.Message == message {
			return false
		}
		if have.Status == value {
			wanted.LastTransitionTime = have.LastTransitionTime
		}
		wanted.ObservedGeneration = have.ObservedGeneration
		*have = wanted
		return true
	}
	*list = append(*list, wanted)
	return true
}

func ofJob(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "Job"
}
