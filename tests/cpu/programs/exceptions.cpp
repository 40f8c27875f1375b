// Exceptions that instructions raise at CPL 0: vector, error code, place.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("exceptions have the manual's error codes and point at their instruction") {
    Machine m("exceptions");
    CHECK(m.run() == End::halted);
    constexpr std::uint64_t kIdt = 2;  // SDM 3A 6.13: the index is of a gate in the IDT
    const std::vector<Fault> faults{
        {"divide_by_zero", kDE},
        {"quotient_too_large", kDE},
        {"undefined", kUD},
        {"lock_without_memory", kUD},
        {"task_switched", kNM},
        {"task_switched_sse", kNM},
        {"emulated", kNM},
        {"emulated_sse", kUD},
        {"beyond_table", kGP, BEYOND_GDT},
        {"no_local_table", kGP, BEYOND_GDT + 4},
        {"code_as_stack", kGP, CODE64},
        {"read_only_stack", kGP, READ_ONLY},
        {"stack_rpl", kGP, DATA_FLAT},
        {"absent_data", kNP, ABSENT_DATA},
        {"absent_stack", kSS, ABSENT_DATA},
        {"absent_stack_lss", kSS, ABSENT_DATA},
        {"absent_code", kNP, ABSENT_CODE},
        {"data_as_code", kGP, DATA_FLAT},
        {"null_code", kGP, 0},
        {"data_as_task", kGP, DATA_FLAT},
        {"busy_task", kGP, TASK},
        {"null_task", kGP, 0},
        {"data_as_local_table", kGP, DATA_FLAT},
        {"empty_gate", kGP, 0xff * 8 + kIdt},
        {"absent_gate", kNP, 0x30 * 8 + kIdt},
        {"wrong_gate", kGP, 0x30 * 8 + kIdt},
        {"gate_to_data", kGP, DATA_FLAT},
        {"gate_to_absent_code", kNP, ABSENT_CODE},
        {"gate_to_legacy_code", kGP, CODE32},
        {"gate_to_null", kGP, 0},
        {"gate_to_nowhere", kGP},
        {"beyond_idt_limit", kGP, 0x40 * 8 + kIdt},
        {"non_canonical", kGP},
        {"non_canonical_store", kGP},
        {"non_canonical_jump", kGP},
        {"non_canonical_frame", kSS},
        // SDM 1 3.7.4: in 64-bit mode the prefixes of SS and DS mean nothing.
        {"non_canonical_override", kGP},
        {"non_canonical_frame_override", kSS},
        {"non_canonical_sib", kSS},
        {"non_canonical_r12", kGP},
        {"non_canonical_r13", kGP},
        {"non_canonical_push", kSS},
        {"non_canonical_pop", kSS},
        {"non_canonical_call", kSS},
        {"non_canonical_return", kSS},
        {"non_canonical_pushf", kSS},
        {"non_canonical_leave", kSS},
        {"non_canonical_push_operand", kGP},
        {"after_int3", kBP},
        {"after_icebp", kDB},
        {"floating_point", kMF},
    };
    check_faults(m, faults);
    CHECK(m.result(0) == 0xffff0ff0);  // INT1 leaves DR6 alone
}
