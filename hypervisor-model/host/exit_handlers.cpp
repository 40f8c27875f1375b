// One handler for each kind of exit. All they know of the exit is what the VMCS or VMCB says.
#include <array>
#include <span>

#include "cpu/descriptor.h"
#include "cpu/events.h"
#include "hypervisor-model/host/logical_processor.h"
#include "hypervisor-model/partition.h"
#include "hypervisor-model/spec/registers.h"

namespace hvsim::hv {

void LogicalProcessor::raise(VpRecord& record, std::uint8_t vector, std::uint32_t error_code) {
    InjectedEvent event;
    event.type = InjectedEvent::Type::hardware_exception;
    event.vector = vector;
    event.has_error_code = cpu::has_error_code(vector);
    event.error_code = error_code;
    record.backend->inject(event);
}

void LogicalProcessor::handle(VpRecord& record, const ExitInfo& exit) {
    cpu::ExecutionCore& core = record.backend->core();
    const sim::TimingProfile& timing = host_.timing();
    switch (exit.kind) {
        case ExitKind::external_interrupt:
            core.charge(timing.hypervisor_interrupt);
            if (exit.has_vector)
                interrupt(exit.vector, core.now());
            else
                take_interrupts();
            return;
        case ExitKind::interrupt_window:
            return;
        case ExitKind::nmi:                 // the hypervisor's own NMIs carry no work
            if (apic_.has_nmi_pending()) {  // AMD-V leaves it pending until STGI
                apic_.nmi_unblocked();
                apic_.take_nmi();
            }
            return;
        case ExitKind::cpuid:
            return handle_cpuid(record, exit);
        case ExitKind::msr_read:
        case ExitKind::msr_write:
            return handle_msr(record, exit);
        case ExitKind::io:
            return handle_io(record, exit);
        case ExitKind::hypercall:
            return handle_hypercall(record, exit);
        case ExitKind::nested_page_fault:
            return handle_nested_fault(record, exit);
        case ExitKind::exception:
            return handle_exception(record, exit);
        case ExitKind::hlt:
            record.backend->skip_instruction(exit.instruction_length);
            record.backend->set_halted(true);
            return;
        case ExitKind::pause_loop:
            record.backend->skip_instruction(exit.instruction_length);
            yield();
            return;
        case ExitKind::xsetbv:
            return handle_xsetbv(record, exit);
        case ExitKind::cr_access:
            core.charge(timing.hypervisor_apic);
            if (record.backend->emulate_cr_access(exit, record.vp->apic()))
                record.backend->skip_instruction(exit.instruction_length);
            else
                raise(record, cpu::kGP);
            return;
        case ExitKind::cache_control:
            record.backend->skip_instruction(exit.instruction_length);
            return;
        case ExitKind::virtualization_instruction:
            raise(record, cpu::kUD);
            return;
        case ExitKind::triple_fault:
        case ExitKind::nested_misconfiguration:
        case ExitKind::other:
            record.vp->send_unrecoverable_exception(core.now());
            return;
    }
}

void LogicalProcessor::handle_cpuid(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    VirtualProcessor& vp = *record.vp;
    backend.core().charge(host_.timing().hypervisor_cpuid);
    const auto leaf = static_cast<std::uint32_t>(backend.gpr(cpu::engine::kRax));
    const auto subleaf = static_cast<std::uint32_t>(backend.gpr(cpu::engine::kRcx));
    if (vp.partition().intercepts().cpuid(leaf)) {
        vp.send_cpuid_intercept(exit.instruction_length, now());
        return;
    }
    const CpuidResult result = vp.cpuid(leaf, subleaf);
    backend.set_gpr(cpu::engine::kRax, result.eax);
    backend.set_gpr(cpu::engine::kRbx, result.ebx);
    backend.set_gpr(cpu::engine::kRcx, result.ecx);
    backend.set_gpr(cpu::engine::kRdx, result.edx);
    backend.skip_instruction(exit.instruction_length);
}

void LogicalProcessor::handle_xsetbv(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    backend.core().charge(host_.timing().hypervisor_msr);
    RegisterValue value;
    value.low = (backend.gpr(cpu::engine::kRax) & 0xffffffff) | backend.gpr(cpu::engine::kRdx)
                                                                    << 32;
    const bool first = (backend.gpr(cpu::engine::kRcx) & 0xffffffff) == 0;
    if (!first || record.vp->set_register(reg::kXfem, value, now()) != HvStatus::success)
        return raise(record, cpu::kGP);
    backend.skip_instruction(exit.instruction_length);
}

void LogicalProcessor::handle_msr(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    VirtualProcessor& vp = *record.vp;
    backend.core().charge(host_.timing().hypervisor_msr);
    const bool write = exit.kind == ExitKind::msr_write;
    const auto index = static_cast<std::uint32_t>(backend.gpr(cpu::engine::kRcx));
    MsrResult result;
    if (write) {
        const std::uint64_t value =
            (backend.gpr(cpu::engine::kRax) & 0xffffffff) | backend.gpr(cpu::engine::kRdx) << 32;
        result = vp.write_msr(index, value, now());
    } else {
        result = vp.read_msr(index, now());
    }
    if (result.gp) return raise(record, cpu::kGP);
    if (result.intercept) {
        vp.send_msr_intercept(index, write, exit.instruction_length, now());
        return;
    }
    if (!write) {
        backend.set_gpr(cpu::engine::kRax, result.value & 0xffffffff);
        backend.set_gpr(cpu::engine::kRdx, result.value >> 32);
    }
    backend.skip_instruction(exit.instruction_length);
    if (result.action != VpAction::none && result.action != VpAction::halt_until_interrupt)
        host_.guest_action(vp, result.action, now());
}

void LogicalProcessor::handle_io(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    VirtualProcessor& vp = *record.vp;
    backend.core().charge(host_.timing().hypervisor_io);
    backend.core().recorder().record(sim::EventKind::kIoIntercept, now(), backend.core().subject(),
                                     exit.io.port, backend.gpr(cpu::engine::kRax), exit.io.size,
                                     !exit.io.in);
    if (vp.partition().intercepts().io_port(exit.io.port, !exit.io.in)) {
        // Segment and address size of INS and OUTS are in the instruction.
        std::array<std::uint8_t, 15> bytes{};
        const std::size_t count = exit.io.string ? backend.core().peek_code(bytes) : 0;
        vp.send_io_intercept(exit.io.port, exit.io.size, !exit.io.in, exit.io.string, exit.io.rep,
                             {exit.instruction_length, std::span(bytes).first(count)}, now());
        return;
    }
    // Nothing is there: reads see an open bus.
    if (exit.io.in && !exit.io.string) {
        const std::uint64_t mask = exit.io.size == 4   ? 0xffffffff
                                   : exit.io.size == 2 ? 0xffff
                                                       : 0xff;
        const std::uint64_t old = backend.gpr(cpu::engine::kRax);
        backend.set_gpr(cpu::engine::kRax, exit.io.size == 4 ? mask : old | mask);
    }
    backend.skip_instruction(exit.instruction_length);
}

void LogicalProcessor::handle_hypercall(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    const sim::TimingProfile& timing = host_.timing();
    backend.core().charge(timing.hypervisor_hypercall_base);
    const HypercallOutcome outcome = host_.dispatcher().dispatch(*record.vp, now());
    backend.core().charge(outcome.reps_done * timing.hypervisor_hypercall_rep);
    switch (outcome.kind) {
        case HypercallOutcome::Kind::completed:
            backend.skip_instruction(exit.instruction_length);
            if (outcome.yield) yield();
            return;
        case HypercallOutcome::Kind::continue_later:
            return;
        case HypercallOutcome::Kind::undefined:
            raise(record, cpu::kUD);
            return;
        case HypercallOutcome::Kind::memory_intercept:
            record.vp->send_memory_intercept(
                outcome.gpa, outcome.write ? InterceptAccess::write : InterceptAccess::read,
                std::nullopt, true, {exit.instruction_length, {}}, now());
            return;
    }
}

void LogicalProcessor::handle_nested_fault(VpRecord& record, const ExitInfo& exit) {
    VpBackend& backend = *record.backend;
    VirtualProcessor& vp = *record.vp;
    const std::uint64_t page = exit.gpa & ~std::uint64_t{0xfff};
    if (vp.apic().mode() == apic::ApicMode::xapic && vp.apic().base() == page) {
        // DEVIATION: the access is not decoded. The processor executes the instruction with the
        // page served by the virtual APIC; the values travel in that call instead of in registers.
        backend.core().assist(exit.gpa, *this);
        return;
    }
    if (cpu::engine::MmioHandler* window = host_.mmio_window(vp.partition(), page)) {
        backend.core().charge(host_.timing().hypervisor_memory_intercept);
        backend.core().assist(exit.gpa, *window);  // DEVIATION: as above
        return;
    }
    backend.core().charge(host_.timing().hypervisor_memory_intercept);
    // A read-only page of the hypervisor's own is no business of the parent's (TLFS 3.13, 5.2.1).
    if (exit.write && vp.partition().gpa_space().is_overlay(sim::page_of(exit.gpa)))
        return raise(record, cpu::kGP);
    const InterceptAccess access = exit.execute ? InterceptAccess::execute
                                   : exit.write ? InterceptAccess::write
                                                : InterceptAccess::read;
    const bool unmapped = !vp.partition().gpa_space().visible(sim::page_of(exit.gpa)).has_value();
    cpu::engine::MmioHandler* bus = host_.open_bus(vp.partition());
    if (unmapped && exit.operand && bus != nullptr) {
        // DEVIATION: an instruction with operands in two pages where nothing is never ends; loads
        // and stores are not decoded, and one page at a time is served.
        backend.core().assist(exit.gpa, *bus);
        return;
    }
    vp.send_memory_intercept(exit.gpa, access,
                             exit.gva_valid ? std::optional(exit.gva) : std::nullopt, unmapped,
                             {exit.instruction_length, {}}, now());
}

void LogicalProcessor::handle_exception(VpRecord& record, const ExitInfo& exit) {
    if (record.vp->partition().intercepts().exception(exit.vector)) {
        record.vp->send_exception_intercept(
            exit.vector, exit.has_error_code ? std::optional(exit.error_code) : std::nullopt,
            exit.qualification, {exit.instruction_length, {}}, now());
        return;
    }
    if (exit.vector == cpu::kPF) record.backend->set_cr(2, exit.qualification);
    raise(record, exit.vector, exit.error_code);
}

}  // namespace hvsim::hv
