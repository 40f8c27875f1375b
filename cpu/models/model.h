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

/// One static CPUID leaf; `subleaf` matters only where the leaf has subleaves.
struct CpuidRow {
    std::uint32_t leaf, subleaf;
    CpuidResult values;
};

struct Model {
    std::string_view name;  ///< as a scenario names it
    Vendor vendor;
    std::string_view brand;   ///< at most 47 characters
    std::uint32_t signature;  ///< CPUID.1:EAX
    std::uint8_t physical_address_bits;
    std::uint8_t linear_address_bits;
    std::uint64_t crystal_hz;  ///< CPUID.15H:ECX; 0 = leaf absent
    std::uint32_t features_1_ecx, features_1_edx, features_7_ebx, features_7_ecx, features_7_edx;
    std::uint32_t features_ext1_ecx, features_ext1_edx;
    std::uint32_t svm_features = 0;  ///< CPUID.8000000AH:EDX
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
    bool slat = true;  ///< nested paging announced, where the vendor does so by CPUID
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

}  // namespace hvsim::cpu
