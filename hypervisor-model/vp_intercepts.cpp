// Intercept messages to the parent partition (TLFS 11.10).
#include <algorithm>
#include <cstring>

#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv {
namespace {

constexpr unsigned kInterceptSint = 0;

void copy_bytes(std::array<std::uint8_t, 16>& out, std::uint8_t& count,
                std::span<const std::uint8_t> in) {
    const std::size_t length = std::min(in.size(), out.size());
    std::copy_n(in.begin(), length, out.begin());
    count = static_cast<std::uint8_t>(length);
}

}  // namespace

InterceptHeader VirtualProcessor::intercept_header(std::uint8_t length,
                                                   InterceptAccess access) const {
    constexpr std::uint64_t kPe = 1, kAm = 1u << 18, kLma = 1u << 10, kDebugEnabled = 0xff;
    const VpContext& c = context();
    InterceptHeader header;
    header.vp_index = index_;
    header.instruction_length_cr8 =
        static_cast<std::uint8_t>((length & 0xf) | (apic_.tpr() & 0xf0));
    header.access = static_cast<std::uint8_t>(access);
    std::uint64_t state = ExecutionState::Cpl::set(std::uint64_t{0}, c.cpl());
    if ((c.cr(0) & kPe) != 0) state |= ExecutionState::kCr0Pe;
    if ((c.cr(0) & kAm) != 0) state |= ExecutionState::kCr0Am;
    if ((c.efer() & kLma) != 0) state |= ExecutionState::kEferLma;
    if ((c.dr(7) & kDebugEnabled) != 0) state |= ExecutionState::kDebugActive;
    if (c.has_pending_injection()) state |= ExecutionState::kInterruptionPending;
    if (c.interrupt_shadow()) state |= ExecutionState::kInterruptShadow;
    header.execution_state = static_cast<std::uint16_t>(state);
    header.cs = WireSegment::from(c.segment(SegmentName::cs));
    header.rip = c.rip();
    header.rflags = c.rflags();
    return header;
}

template <typename Payload>
bool VirtualProcessor::post_to_parent(MessageType type, const Payload& payload, sim::Time now) {
    static_assert(sizeof(Payload) <= kMessagePayloadMax);
    Partition* parent = hypervisor_.find(partition_.parent());
    if (parent == nullptr || parent->vp_count() == 0) return false;
    const std::vector<VirtualProcessor*> candidates = parent->vps();
    VirtualProcessor* receiver = target_ ? parent->vp(*target_) : nullptr;
    if (receiver == nullptr) receiver = candidates[index_ % candidates.size()];
    MessageSlot message;
    message.type = static_cast<std::uint32_t>(type);
    message.payload_size = sizeof(Payload);
    message.sender = partition_.id();
    std::memcpy(message.payload.data(), &payload, sizeof(Payload));
    receiver->synic().post(kInterceptSint, message, 0, now);
    return true;
}

template <typename Payload>
void VirtualProcessor::send_intercept(MessageType type, const Payload& payload, sim::Time now) {
    // Suspended first: the parent may answer before post() returns.
    intercept_suspend_ = true;
    ++counters_.intercepts;
    post_to_parent(type, payload, now);
}

void VirtualProcessor::send_io_intercept(std::uint16_t port, unsigned size, bool write, bool string,
                                         bool rep, const InterceptInstruction& instruction,
                                         sim::Time now) {
    using cpu::engine::kRax, cpu::engine::kRcx, cpu::engine::kRsi, cpu::engine::kRdi;
    const VpContext& c = context();
    IoPortIntercept message;
    message.header = intercept_header(instruction.length,
                                      write ? InterceptAccess::write : InterceptAccess::read);
    message.port = port;
    message.access_info =
        static_cast<std::uint8_t>(size | (string ? kIoString : 0u) | (rep ? kIoRep : 0u));
    copy_bytes(message.instruction_bytes, message.instruction_byte_count, instruction.bytes);
    message.rax = c.gpr(kRax);
    message.ds = WireSegment::from(c.segment(SegmentName::ds));
    message.es = WireSegment::from(c.segment(SegmentName::es));
    message.rcx = c.gpr(kRcx);
    message.rsi = c.gpr(kRsi);
    message.rdi = c.gpr(kRdi);
    send_intercept(MessageType::io_port_intercept, message, now);
}

void VirtualProcessor::send_msr_intercept(std::uint32_t msr, bool write, std::uint8_t length,
                                          sim::Time now) {
    MsrIntercept message;
    message.header =
        intercept_header(length, write ? InterceptAccess::write : InterceptAccess::read);
    message.msr = msr;
    message.rdx = context().gpr(cpu::engine::kRdx);
    message.rax = context().gpr(cpu::engine::kRax);
    send_intercept(MessageType::msr_intercept, message, now);
}

void VirtualProcessor::send_cpuid_intercept(std::uint8_t length, sim::Time now) {
    const VpContext& c = context();
    CpuidIntercept message;
    message.header = intercept_header(length, InterceptAccess::execute);
    message.rax = c.gpr(cpu::engine::kRax);
    message.rcx = c.gpr(cpu::engine::kRcx);
    message.rdx = c.gpr(cpu::engine::kRdx);
    message.rbx = c.gpr(cpu::engine::kRbx);
    const CpuidResult result =
        cpuid(static_cast<std::uint32_t>(message.rax), static_cast<std::uint32_t>(message.rcx));
    message.default_rax = result.eax;
    message.default_rbx = result.ebx;
    message.default_rcx = result.ecx;
    message.default_rdx = result.edx;
    send_intercept(MessageType::cpuid_intercept, message, now);
}

void VirtualProcessor::send_memory_intercept(std::uint64_t gpa, InterceptAccess access,
                                             std::optional<std::uint64_t> gva, bool unmapped,
                                             const InterceptInstruction& instruction,
                                             sim::Time now) {
    MemoryIntercept message;
    message.header = intercept_header(instruction.length, access);
    message.tpr = apic_.tpr();
    message.gpa = gpa;
    if (gva) {
        message.gva = *gva;
        message.access_info = kMemoryGvaValid | kMemoryGvaGpaValid;
    }
    copy_bytes(message.instruction_bytes, message.instruction_byte_count, instruction.bytes);
    send_intercept(unmapped ? MessageType::unmapped_gpa : MessageType::gpa_intercept, message, now);
}

void VirtualProcessor::send_exception_intercept(std::uint8_t vector,
                                                std::optional<std::uint32_t> error_code,
                                                std::uint64_t parameter,
                                                const InterceptInstruction& instruction,
                                                sim::Time now) {
    ExceptionIntercept message;
    message.header = intercept_header(instruction.length, InterceptAccess::execute);
    message.vector = vector;
    message.info = error_code ? 1 : 0;
    message.error_code = error_code.value_or(0);
    message.parameter = parameter;
    copy_bytes(message.instruction_bytes, message.instruction_byte_count, instruction.bytes);
    message.ds = WireSegment::from(context().segment(SegmentName::ds));
    message.ss = WireSegment::from(context().segment(SegmentName::ss));
    for (unsigned i = 0; i < message.gpr.size(); ++i) message.gpr[i] = context().gpr(i);
    send_intercept(MessageType::exception_intercept, message, now);
}

void VirtualProcessor::send_unrecoverable_exception(sim::Time now) {
    UnrecoverableExceptionIntercept message;
    message.header = intercept_header(0, InterceptAccess::execute);
    send_intercept(MessageType::unrecoverable_exception, message, now);
}

void VirtualProcessor::send_apic_eoi(std::uint8_t vector, sim::Time now) {
    post_to_parent(MessageType::apic_eoi, ApicEoiMessage{index_, vector}, now);
}

}  // namespace hvsim::hv
