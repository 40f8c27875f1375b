#include "cpu/svm/value_text.h"

#include <fmt/format.h>

#include "cpu/svm/guest.h"
#include "cpu/svm/spec/controls.h"
#include "cpu/value_text.h"

namespace hvsim::cpu::svm {
namespace {

/// APM 2 15.20, 15.7.2.
std::string event_text(std::uint64_t value) {
    if (!event::V::test(value)) return "not valid";
    const std::uint64_t type = event::TYPE::get(value), vector = event::VECTOR::get(value);
    const std::string_view name = type == event::kInterrupt           ? "interrupt"
                                  : type == event::kNmi               ? "NMI"
                                  : type == event::kException         ? "exception"
                                  : type == event::kSoftwareInterrupt ? "software interrupt"
                                                                      : "reserved type";
    return fmt::format(
        "{}, {}{}", name,
        type == event::kException ? vector_text(vector) : fmt::format("vector {:#x}", vector),
        event::EV::test(value) ? fmt::format(", error code {:#x}", event::ERRORCODE::get(value))
                               : "");
}

std::string exit_code_text(std::uint64_t code) {
    const std::string_view name = exit_code_name(code);
    const auto in = [code](ExitCode first, std::uint64_t count) {
        return code - static_cast<std::uint64_t>(first) < count;
    };
    if (in(ExitCode::CR0_READ, 16)) return fmt::format("VMEXIT_CR{}_READ", code & 0xf);
    if (in(ExitCode::CR0_WRITE, 16)) return fmt::format("VMEXIT_CR{}_WRITE", code & 0xf);
    if (in(ExitCode::DR0_READ, 16)) return fmt::format("VMEXIT_DR{}_READ", code & 0xf);
    if (in(ExitCode::DR0_WRITE, 16)) return fmt::format("VMEXIT_DR{}_WRITE", code & 0xf);
    if (in(ExitCode::EXCP0, 32)) return fmt::format("VMEXIT_EXCP{}", code & 0x1f);
    return std::string(name);
}

std::string tlb_control_text(std::uint64_t value) {
    switch (value) {
        case tlb_control::kNothing:
            return "nothing";
        case tlb_control::kFlushAll:
            return "flush all";
        case tlb_control::kFlushAsid:
            return "flush the ASID";
        case tlb_control::kFlushAsidNonGlobal:
            return "flush the ASID but global pages";
        default:
            return "reserved";
    }
}

std::string vintr_text(std::uint64_t value) {
    constexpr std::uint64_t kNumbers =
        vintr::V_TPR::kMask | vintr::V_INTR_PRIO::kMask | vintr::V_INTR_VECTOR::kMask;
    return fmt::format("{}; V_TPR {:#x}, priority {}, vector {:#x}",
                       bits_text(kVintrBits, value & ~kNumbers), vintr::V_TPR::get(value),
                       vintr::V_INTR_PRIO::get(value), vintr::V_INTR_VECTOR::get(value));
}

bool is_attributes(std::uint16_t offset) noexcept {
    return offset >= vmcb::ES_ATTRIB.offset && offset <= vmcb::TR_ATTRIB.offset &&
           (offset - vmcb::ES_ATTRIB.offset) % kSegmentStride == 0;
}

}  // namespace

std::string value_text(std::uint16_t offset, std::uint64_t value) {
    if (offset == vmcb::VINTR.offset) return vintr_text(value);
    if (const ControlWord* word = find_control_word(kControlWords, offset))
        return bits_text(word->bits, value);
    if (is_attributes(offset))
        return access_rights_text(
            static_cast<std::uint32_t>(attrib::LOW::get(value) | attrib::HIGH::get(value) << 12));
    switch (offset) {
        case vmcb::CR0.offset:
            return cr0_text(value);
        case vmcb::CR4.offset:
            return cr4_text(value);
        case vmcb::EFER.offset:
            return efer_text(value);
        case vmcb::RFLAGS.offset:
            return rflags_text(value);
        case vmcb::EXITCODE.offset:
            return exit_code_text(value);
        case vmcb::EVENTINJ.offset:
        case vmcb::EXITINTINFO.offset:
            return event_text(value);
        case vmcb::TLB_CONTROL.offset:
            return tlb_control_text(value);
        default:
            return {};
    }
}

}  // namespace hvsim::cpu::svm
