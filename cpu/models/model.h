#pragma once
// Processor models as data: what CPUID announces and what the feature MSRs report. A model never
// announces what the execution engine can't do (docs/fidelity.md).
#include <cstdint>
#include <span>
#include <string_view>

namespace hvsim::cpu {

enum class Vendor : std::uint8_t { intel, amd };

struct CpuidResult {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    bool operator==(const CpuidResult&) const = default;
};

struct Model {
    std::string_view name;  ///< as a scenario names it
    Vendor vendor = Vendor::intel;
    std::string_view timing_profile;  ///< where the scenario names none
    std::string_view brand;           ///< at most 47 characters
    std::uint32_t signature = 0;      ///< CPUID.1:EAX
    std::uint8_t physical_address_bits = 0;
    std::uint8_t linear_address_bits = 0;
    std::uint64_t crystal_hz = 0;  ///< CPUID.15H:ECX; 0 = leaf absent
    std::uint32_t features_1_ecx = 0, features_1_edx = 0;
    std::uint32_t features_7_ebx = 0, features_7_ecx = 0, features_7_edx = 0;
    std::uint32_t features_ext1_ecx = 0, features_ext1_edx = 0;
    std::uint8_t machine_check_banks = 0;  ///< IA32_MCG_CAP
    std::uint32_t svm_features = 0;        ///< CPUID.8000000AH:EDX
    std::uint32_t vmx_absent = 0;          ///< secondary controls that this generation has not
};

/// State of one processor that CPUID results depend on.
struct CpuidContext {
    std::uint32_t apic_id = 0;
    std::uint32_t processor_count = 1;
    std::uint64_t tsc_hz = 0;
    bool osxsave = false;
    bool apic_enabled = true;
    bool virtualization = true;  ///< VMX or SVM announced
    bool nx = true;
    bool monitor = true;  ///< MONITOR and MWAIT not switched off by software
    bool slat = true;     ///< nested paging announced, where the vendor does so by CPUID
    std::uint64_t xcr0 = 1;
};

/// SDM 2A CPUID; APM 3 appendix E. Leaves beyond the maximum answer as the vendor does (Intel: the
/// highest basic leaf's data; AMD: zeros).
CpuidResult cpuid(const Model& model, const CpuidContext& context, std::uint32_t leaf,
                  std::uint32_t subleaf);

/// All models, in the order of the documentation.
std::span<const Model> models();
/// nullptr if there is no such model.
const Model* find_model(std::string_view name);
/// The one of a scenario that names none.
const Model& default_model(Vendor vendor);

/// CR4 bits that the model's features allow (SDM 3A 2.5).
std::uint64_t valid_cr4(const Model& model, bool virtualization);

}  // namespace hvsim::cpu
